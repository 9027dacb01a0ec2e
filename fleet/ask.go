package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pollbridge/store"
)

// Errors of Ask that callers branch on.
var (
	// ErrHere means that this replica looks after the session itself.
	ErrHere = errors.New("fleet: this replica looks after the session")
	// ErrCutOff means that the others cannot be reached: this replica is on its own.
	ErrCutOff = errors.New("fleet: the other replicas cannot be reached")
)

// Handler answers what is asked of the holder of a session. It is called by many goroutines at
// the same time.
type Handler func(ctx context.Context, question []byte) []byte

// Answer has h answer a kind of question, which is a single token. It is called before Start.
func (f *Fleet) Answer(kind string, h Handler) { f.handlers[kind] = h }

// The first byte of an answer.
const (
	answered = 0
	notHere  = 1 // the session is looked after elsewhere by now
)

const (
	askAgain = 25 * time.Millisecond
	mostAsks = 100 // of one call; then the fleet is in such disorder that each is on its own
)

// Ask asks the holder of a session, and takes its place if that has gone. It waits as long as
// ctx lasts.
func (f *Fleet) Ask(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error) {
	n := SlotOf(sessionID)
	began, silent := time.Now(), 0
	for range mostAsks {
		f.mu.Lock()
		known, here, fenced := f.slots[n], f.held[n] != nil, f.fencedLocked()
		f.mu.Unlock()
		switch {
		case here && !fenced:
			return nil, ErrHere
		case f.store.Up().Err() != nil, here:
			return nil, ErrCutOff
		}
		answer, err := f.store.Ask(ctx, subject(n, kind), question)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, store.ErrNobody), errors.Is(err, store.ErrSilent):
			if errors.Is(err, store.ErrSilent) {
				silent++
			}
			// It may have become the holder this moment, or be on its way to another server,
			// or very busy.
			if silent != 1 && min(time.Since(began), time.Since(known.since)) >= f.timing.patience {
				if err := f.want(ctx, n, known.owner, silent > 0); err != nil {
					return nil, err
				}
			}
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrCutOff, err)
		case len(answer) > 0 && answer[0] == answered:
			return answer[1:], nil
		}
		if err := pause(ctx, askAgain); err != nil {
			return nil, err
		}
	}
	return nil, ErrCutOff
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// want has a slot taken if owner still has it.
func (f *Fleet) want(ctx context.Context, n int, owner string, hangs bool) error {
	w := want{n, owner, hangs, make(chan struct{})}
	select {
	case f.wants <- w:
	case <-f.ctx.Done():
		return ErrCutOff
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-w.done:
		return nil
	case <-f.ctx.Done():
		return ErrCutOff
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func subject(slot int, kind string) string { return "slot." + SlotName(slot) + "." + kind }

// answer begins to answer for a slot.
func (f *Fleet) answer(n int) {
	answering, err := f.store.Answer(subject(n, "*"), func(ctx context.Context, subject string, question []byte) []byte {
		handler := f.handlers[subject[strings.LastIndexByte(subject, '.')+1:]]
		f.mu.Lock()
		here := f.held[n] != nil && !f.fencedLocked()
		f.mu.Unlock()
		if !here || handler == nil {
			return []byte{notHere}
		}
		answer := handler(ctx, question)
		if ctx.Err() != nil {
			return []byte{notHere} // it was lost meanwhile, and what was found out may be an error for that
		}
		return append([]byte{answered}, answer...)
	})
	if err != nil {
		f.log.Warn("a slot of the fleet cannot be answered for", "slot", n, "error", err)
		return
	}
	f.mu.Lock()
	h := f.held[n]
	if h != nil {
		h.answering = answering
	}
	f.mu.Unlock()
	if h == nil { // it was lost meanwhile
		answering.Stop()
	}
}
