package watch

import (
	"context"
	"errors"
	"time"
)

// Polling is how a session that is watched is polled. Only the process that looks after it knows,
// and only since it does.
type Polling struct {
	Last      time.Time // when the session was last observed, whoever asked; zero: it was not
	Next      time.Time // when it is polled next
	Failures  int       // polls in a row that brought nothing, but those that the upstream did not want
	Failure   string    // why the last poll brought nothing, in a word; empty: it did
	NotBefore time.Time // until then the upstream wants no poll, or is not asked; zero: it may be asked
}

// Polling returns how a session is polled, or ErrNotFound where it is not watched.
func (w *Watcher) Polling(_ context.Context, id string) (Polling, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, live := w.live[id]
	if !live || !e.known() || e.end != Watching {
		return Polling{}, ErrNotFound
	}
	return Polling{Last: e.observed, Next: e.due, Failures: e.failures, Failure: e.failure.reason, NotBefore: e.failure.until}, nil
}

// failure is why a poll brought nothing.
type failure struct {
	reason string
	until  time.Time // zero: it may be tried again at any time
}

// noAnswer is the reason where nobody says more.
const noAnswer = "no_answer"

// failureOf is what an error says.
func failureOf(err error, now time.Time) failure {
	known, ok := errors.AsType[interface {
		error
		Why() string
		Wait() time.Duration
	}](err)
	if !ok {
		return failure{reason: noAnswer}
	}
	f := failure{reason: known.Why()}
	if wait := known.Wait(); wait > 0 {
		f.until = now.Add(wait)
	}
	return f
}
