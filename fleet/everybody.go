package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"pollbridge/internal/period"
)

// Hear has h told what others say to this replica, or to everybody, of a kind, which is a single
// token. What it returns is told who has asked. It is called before Start.
func (f *Fleet) Hear(kind string, h Handler) { f.hearers[kind] = h }

// TellEverybody tells all other replicas something, and returns when each has heard it. The error
// names those that have not: they are there, and do not answer.
func (f *Fleet) TellEverybody(ctx context.Context, kind string, message []byte) error {
	_, err := f.AskEverybody(ctx, kind, message)
	return err
}

// AskEverybody is TellEverybody, and returns an answer that says something, if there is one: then all
// is well.
func (f *Fleet) AskEverybody(ctx context.Context, kind string, question []byte) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var mu sync.Mutex
	var failed []error
	var asking sync.WaitGroup
	for _, r := range f.Replicas() {
		if r.ID == f.id {
			continue
		}
		asking.Go(func() {
			said, err := f.askOne(ctx, r, kind, question)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
			}
			if len(said) > 0 {
				answer = said
				cancel() // the others need not be waited for
			}
		})
	}
	asking.Wait()
	if answer != nil {
		return answer, nil
	}
	return nil, errors.Join(failed...)
}

// askOne tries again for as long as the replica counts as being there.
func (f *Fleet) askOne(ctx context.Context, r Replica, kind string, question []byte) ([]byte, error) {
	for {
		answer, err := f.store.Ask(ctx, replicaKey+r.ID+"."+kind, question)
		if err == nil {
			return answer, nil
		}
		f.mu.Lock()
		there := f.aliveLocked(f.peers[r.ID])
		f.mu.Unlock()
		if !there {
			return nil, nil
		}
		if period.Pause(ctx, askAgain) != nil {
			return nil, fmt.Errorf("fleet: replica %s (%s) has not heard it: %w", r.ID, r.Name, err)
		}
	}
}

// hear begins to hear what others say to everybody.
func (f *Fleet) hear() (err error) {
	f.hearing, err = f.store.Answer(replicaKey+f.id+".*", func(ctx context.Context, subject string, message []byte) []byte {
		if h := f.hearers[subject[strings.LastIndexByte(subject, '.')+1:]]; h != nil {
			return h(ctx, message)
		}
		return nil
	})
	return err
}
