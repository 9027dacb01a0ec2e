package watch

import (
	"context"
	"sync"
	"time"

	"pollbridge/session"
)

// Refresh brings the observation of a session up to date. It returns when that
// observation was made, and false if the upstream gave none.
type Refresh func(ctx context.Context, v *session.Variant) (at time.Time, ok bool)

// LongPolls keeps the sessions fresh for which requests are held: watches in memory only, that
// end with their clients and make no events. It is safe for concurrent use. Create it with
// NewLongPolls.
type LongPolls struct {
	options LongPollOptions

	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu    sync.Mutex
	held  map[string]*held // by the key of the question; guarded by mu, as what it points to
	swept time.Time        // when those were forgotten that nobody holds any more; guarded by mu
}

// held is one session for which requests are held, or were of late.
type held struct {
	variant   *session.Variant
	holds     map[*Hold]struct{}
	cancel    context.CancelFunc
	began     time.Time // the first request was held
	released  time.Time // the last one was
	elsewhere time.Time // until when one may be held by another replica
	observed  time.Time // the last observation
	pending   time.Time // the last one that was pending, and made by this process
	passive   bool      // nothing is learnt from it here: somebody else does, or it is over
}

// waited reports whether a request is held, here or elsewhere.
func (h *held) waited(now time.Time) bool { return len(h.holds) > 0 || now.Before(h.elsewhere) }

// LongPollOptions is what LongPolls needs.
type LongPollOptions struct {
	// Schedule is by what sessions are refreshed; the age of one counts from when the first
	// request was held. Nil: a fixed one, with the default interval.
	Schedule *Schedule
	// Fresh is for how long an observation need not be refreshed where the schedule is fixed,
	// whatever its interval.
	Fresh   time.Duration
	Refresh Refresh
	// Polled reports whether somebody else asks a question by the same schedule: then nobody
	// has to. Nil: nobody does.
	Polled func(*session.Variant) bool
	// Serves is for how much longer what was seen of v serves, where another replica looks after its
	// session: that one says when it is polled, and is asked again then. Nil: there is none.
	Serves func(v *session.Variant) (left time.Duration, elsewhere bool)
	// Began is told that the first request for a session is held. Nil: nobody wants to know.
	Began func(*session.Variant)
}

// NewLongPolls returns a LongPolls. The caller must Close it.
func NewLongPolls(o LongPollOptions) *LongPolls {
	if o.Schedule == nil {
		o.Schedule = fixedSchedule(DefaultConfig())
	}
	if o.Polled == nil {
		o.Polled = func(*session.Variant) bool { return false }
	}
	if o.Serves == nil {
		o.Serves = func(*session.Variant) (time.Duration, bool) { return 0, false }
	}
	if o.Began == nil {
		o.Began = func(*session.Variant) {}
	}
	l := &LongPolls{options: o, held: map[string]*held{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Close stops refreshing and waits for what is under way. Holds that are left learn
// of nothing any more.
func (l *LongPolls) Close() {
	l.cancel()
	l.loops.Wait()
}

// Hold keeps a session fresh until it is released.
type Hold struct {
	news      chan struct{}
	longPolls *LongPolls
	entry     *held
}

// News gets a value when the session was observed in a state other than pending.
// One that is not received stands for all that follow.
func (h *Hold) News() <-chan struct{} { return h.news }

// between is for how long a session is remembered for which no request is held: clients hold one
// after the other. mostBetween bounds how many are.
const (
	between     = time.Minute
	mostBetween = 100_000
)

// Release ends the hold. It may be called once.
func (h *Hold) Release() {
	l := h.longPolls
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(h.entry.holds, h)
	if len(h.entry.holds) > 0 {
		return
	}
	h.entry.cancel()
	h.entry.released = time.Now()
	if !l.options.Schedule.adaptive() || len(l.held) > mostBetween {
		l.forget(h.entry)
	}
}

// forget forgets a session for which no request is held. If it is not over, it was pending for so
// long. It needs the lock.
func (l *LongPolls) forget(entry *held) {
	if !entry.passive {
		l.options.Schedule.ended(entry.variant, sighted, seenTimes{began: entry.began, pending: entry.pending})
	}
	delete(l.held, entry.variant.Key())
}

// Hold begins to keep v's session fresh. The caller must Release the hold.
func (l *LongPolls) Hold(v *session.Variant) *Hold {
	hold, first := l.hold(v)
	if first {
		l.options.Began(v)
	}
	return hold
}

func (l *LongPolls) hold(v *session.Variant) (hold *Hold, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	entry := l.entry(v)
	if first = len(entry.holds) == 0; first {
		var ctx context.Context
		ctx, entry.cancel = context.WithCancel(l.ctx)
		l.loops.Go(func() { l.keepFresh(ctx, v, entry) })
	}
	hold = &Hold{news: make(chan struct{}, 1), longPolls: l, entry: entry}
	entry.holds[hold] = struct{}{}
	return hold, first
}

// entry is that of v's session. It needs the lock.
func (l *LongPolls) entry(v *session.Variant) *held {
	entry, known := l.held[v.Key()]
	if !known {
		entry = &held{variant: v, holds: map[*Hold]struct{}{}, began: time.Now()}
		l.held[v.Key()] = entry
	}
	return entry
}

// HeldElsewhere is told that another replica holds a request for v's session, which this one looks
// after: so news is worth more, and learnt from here. It is told again as long as that is so, each time the
// other one asks.
func (l *LongPolls) HeldElsewhere(v *session.Variant) {
	if !l.options.Schedule.adaptive() {
		return
	}
	const gaps = 2 // between two questions is one, and a moment
	l.mu.Lock()
	l.sweep()
	now := time.Now()
	if _, known := l.held[v.Key()]; !known && len(l.held) > mostBetween {
		l.mu.Unlock()
		return
	}
	entry := l.entry(v)
	first := !entry.waited(now)
	entry.elsewhere = now.Add(gaps * l.options.Schedule.cfg.bounds().Most)
	l.mu.Unlock()
	if first {
		l.options.Began(v)
	}
}

// sweep forgets sessions for which no request is held any more. It needs the lock.
func (l *LongPolls) sweep() {
	now := time.Now()
	if now.Sub(l.swept) < between {
		return
	}
	l.swept = now
	for _, entry := range l.held {
		if len(entry.holds) == 0 && now.Sub(entry.released) >= between && now.Sub(entry.elsewhere) >= between {
			l.forget(entry)
		}
	}
}

// Waited reports whether a request is held for v, here or at another replica.
func (l *LongPolls) Waited(v *session.Variant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, known := l.held[v.Key()]
	return known && entry.waited(time.Now())
}

// Holds reports whether a request is held for v here.
func (l *LongPolls) Holds(v *session.Variant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, known := l.held[v.Key()]
	return known && len(entry.holds) > 0
}

// Held returns how many sessions are held.
func (l *LongPolls) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, entry := range l.held {
		if len(entry.holds) > 0 {
			n++
		}
	}
	return n
}

// Observe tells those who hold v's session what was observed, and the schedule what that says of
// when sessions end, unless the session is watched: then it learns from that. It does not block.
func (l *LongPolls) Observe(v *session.Variant, o *session.Observation, watched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, ok := l.held[v.Key()]
	if !ok {
		return
	}
	entry.passive = entry.passive || watched
	l.note(entry, o)
	if o.State == session.Pending {
		return
	}
	for hold := range entry.holds {
		select {
		case hold.news <- struct{}{}:
		default:
		}
	}
}

// note needs the lock.
func (l *LongPolls) note(entry *held, o *session.Observation) {
	if !entry.passive && !entry.observed.IsZero() && o.At.After(entry.observed) {
		l.options.Schedule.polled(entry.variant, sighted, o.At.Sub(entry.observed))
	}
	entry.observed = o.At
	switch {
	case o.Elsewhere: // whoever made it learns from the session
		entry.passive = true
	case o.State == session.Pending:
		entry.pending = o.At
	case o.State.Final() && !entry.passive:
		l.options.Schedule.ended(entry.variant, sighted, seenTimes{entry.began, entry.pending, o.At})
		entry.passive = true
	}
}

// gap is for how long an observation of a held session serves. It needs the lock.
func (l *LongPolls) gap(entry *held, at time.Time) time.Duration {
	gap := l.options.Schedule.gap(entry.variant, sighted, at.Sub(entry.began), at, true)
	if l.options.Schedule.adaptive() {
		return gap
	}
	return max(gap, l.options.Fresh)
}

// Fresh is for how long a pending observation of v serves whoever asks: until it is refreshed, where
// the schedule adapts and a request is held, else 0.
func (l *LongPolls) Fresh(v *session.Variant, o *session.Observation) time.Duration {
	if !l.options.Schedule.adaptive() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, ok := l.held[v.Key()]
	if !ok || !entry.waited(time.Now()) || entry.observed != o.At {
		return 0
	}
	return l.gap(entry, o.At)
}

// keepFresh refreshes one session until ctx ends.
func (l *LongPolls) keepFresh(ctx context.Context, v *session.Variant, entry *held) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(l.refresh(ctx, v, entry))
	}
}

// refresh refreshes one session and returns when to do so again.
func (l *LongPolls) refresh(ctx context.Context, v *session.Variant, entry *held) time.Duration {
	at, ok := time.Now(), false
	watched := l.options.Polled(v)
	if !watched {
		if made, fresh := l.options.Refresh(ctx, v); fresh {
			at, ok = made, true
		}
	}
	left, elsewhere := l.options.Serves(v)
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.passive = entry.passive || watched
	gap := l.gap(entry, at)
	switch {
	case !ok:
		return gap
	case elsewhere:
		return max(gap/10, left)
	}
	// The minimum is for observations that stay fresh for longer than the gap: there is nothing
	// to be had earlier, so do not spin.
	return max(gap/10, time.Until(at.Add(gap)))
}
