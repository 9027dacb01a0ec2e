package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Hear has h told what others say to everybody, of a kind, which is a single token. It is called
// before Start.
func (f *Fleet) Hear(kind string, h func(ctx context.Context, message []byte)) { f.hearers[kind] = h }

// TellEverybody tells all other replicas something, and returns when each has heard it. The error
// names those that have not: they are there, and do not answer.
func (f *Fleet) TellEverybody(ctx context.Context, kind string, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var mu sync.Mutex
	var failed []error
	var telling sync.WaitGroup
	for _, r := range f.Replicas() {
		if r.ID == f.id {
			continue
		}
		telling.Go(func() {
			if err := f.tellOne(ctx, r, kind, message); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	telling.Wait()
	return errors.Join(failed...)
}

// tellOne tries again for as long as the replica counts as being there.
func (f *Fleet) tellOne(ctx context.Context, r Replica, kind string, message []byte) error {
	for {
		_, err := f.store.Ask(ctx, replicaKey+r.ID+"."+kind, message)
		if err == nil {
			return nil
		}
		f.mu.Lock()
		there := f.aliveLocked(f.peers[r.ID])
		f.mu.Unlock()
		if !there {
			return nil
		}
		if pause(ctx, askAgain) != nil {
			return fmt.Errorf("fleet: replica %s (%s) has not heard it: %w", r.ID, r.Name, err)
		}
	}
}

// hear begins to hear what others say to everybody.
func (f *Fleet) hear() (err error) {
	f.hearing, err = f.store.Answer(replicaKey+f.id+".*", func(ctx context.Context, subject string, message []byte) []byte {
		if h := f.hearers[subject[strings.LastIndexByte(subject, '.')+1:]]; h != nil {
			h(ctx, message)
		}
		return nil
	})
	return err
}
