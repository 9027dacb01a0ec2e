package watch

import (
	"errors"
	"time"

	"pollbridge/session"
	"pollbridge/watch/due"

	"golang.org/x/time/rate"
)

// Where more sessions are due than the upstream may be asked about, those go first whose poll is the
// most likely to bring news (package due, and Curve.Worth).

// pop returns the entry whose turn it is, or nil and how long that will be.
func (w *Watcher) pop() (*entry, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if wait := w.untilNext(now); wait > 0 {
		return nil, wait
	}
	turn, wait := w.due.Next(now, w.limits())
	if turn == nil {
		return nil, wait
	}
	turn.Of.out = true
	return turn.Of, 0
}

// untilNext is how long it is until the upstream takes one more poll. Who is asked about is decided
// then: polls that wait to be sent keep the order in which they were. It needs the lock.
func (w *Watcher) untilNext(now time.Time) time.Duration {
	if w.pace == nil || !w.due.Ready(now) {
		return 0
	}
	turn := w.pace.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

// newPace is how fast it is said whose turn it is; nil: as fast as there are workers.
func newPace(o Options) *rate.Limiter {
	if o.Rate <= 0 || !o.Schedule.adaptive() {
		return nil
	}
	return rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate/10))) // as upstream.rate
}

// limits are what nobody waits for more than where not all can be asked about, and how many can be.
// It needs the lock.
func (w *Watcher) limits() due.Limits {
	const gaps, rounds = 4, 2
	l := due.Limits{Longest: gaps * w.cfg.bounds().Most, Rate: w.options.Rate}
	if l.Rate > 0 {
		l.Longest = max(l.Longest, time.Duration(rounds*float64(len(w.live))/l.Rate*float64(time.Second)))
	}
	return l
}

// worth is how much a poll of an entry brings. Of one that was not observed yet nobody knows anything. It
// needs the lock.
func (w *Watcher) worth(e *entry, now time.Time) float64 {
	if e.variant == nil || e.observed.IsZero() || e.doubted {
		return w.cfg.bounds().Most.Seconds()
	}
	worth := w.options.Schedule.worth(e.variant, e.from, e.created, e.observed, now)
	if e.waited {
		worth *= waitedFor
	}
	return worth
}

// heldBack returns for how long the upstream wants no polls, if an error says so.
func heldBack(err error) time.Duration {
	held, ok := errors.AsType[interface {
		error
		HeldBack() time.Duration
	}](err)
	if !ok {
		return 0
	}
	return held.HeldBack()
}

// holdBack has an entry be due when the upstream wants polls again, and reports false if that makes no
// difference. It is no failure. For so long nobody waits for it: it goes on to have waited for as long as it has.
func (w *Watcher) holdBack(e *entry, v *session.Variant, err error) bool {
	wait := heldBack(err)
	if wait <= 0 || !w.keepsPlace(e, v) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	due := now.Add(wait)
	if deadline := e.created.Add(w.cfg.Deadline); due.After(deadline) {
		due = deadline
	}
	if e.since.IsZero() {
		e.since = now
	}
	e.failure = failureOf(err, now)
	e.due, e.since = due, e.since.Add(wait)
	return true
}
