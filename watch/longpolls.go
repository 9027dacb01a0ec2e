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

	mu   sync.Mutex
	held map[string]*held // by the key of the question; guarded by mu, as what it points to
}

type held struct {
	holds  map[*Hold]struct{}
	cancel context.CancelFunc
}

// LongPollOptions is what LongPolls needs.
type LongPollOptions struct {
	// Config is the schedule by which sessions are refreshed; the age of one counts from when
	// the first request was held.
	Config Config
	// Fresh is for how long an observation need not be refreshed, whatever the schedule says.
	Fresh   time.Duration
	Refresh Refresh
	// Polled reports whether somebody else asks a question by the same schedule: then nobody
	// has to. Nil: nobody does.
	Polled func(*session.Variant) bool
}

// NewLongPolls returns a LongPolls. The caller must Close it.
func NewLongPolls(o LongPollOptions) *LongPolls {
	if o.Polled == nil {
		o.Polled = func(*session.Variant) bool { return false }
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
	key       string
}

// News gets a value when the session was observed in a state other than pending.
// One that is not received stands for all that follow.
func (h *Hold) News() <-chan struct{} { return h.news }

// Release ends the hold. It may be called once.
func (h *Hold) Release() {
	l := h.longPolls
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.held[h.key]
	delete(entry.holds, h)
	if len(entry.holds) == 0 {
		entry.cancel()
		delete(l.held, h.key)
	}
}

// Hold begins to keep v's session fresh. The caller must Release the hold.
func (l *LongPolls) Hold(v *session.Variant) *Hold {
	hold := &Hold{news: make(chan struct{}, 1), longPolls: l, key: v.Key()}
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, ok := l.held[v.Key()]
	if !ok {
		ctx, cancel := context.WithCancel(l.ctx)
		entry = &held{holds: map[*Hold]struct{}{}, cancel: cancel}
		l.held[v.Key()] = entry
		l.loops.Go(func() { l.keepFresh(ctx, v) })
	}
	entry.holds[hold] = struct{}{}
	return hold
}

// Held returns how many sessions are held.
func (l *LongPolls) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// Observe tells those who hold v's session what was observed. It does not block.
func (l *LongPolls) Observe(v *session.Variant, o *session.Observation) {
	if o.State == session.Pending {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, ok := l.held[v.Key()]
	if !ok {
		return
	}
	for hold := range entry.holds {
		select {
		case hold.news <- struct{}{}:
		default:
		}
	}
}

// keepFresh refreshes one session until ctx ends.
func (l *LongPolls) keepFresh(ctx context.Context, v *session.Variant) {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		gap := max(l.options.Config.gap(time.Since(began)), l.options.Fresh)
		wait := gap
		if !l.options.Polled(v) {
			if at, ok := l.options.Refresh(ctx, v); ok {
				// The minimum is for observations that stay fresh for longer than the gap:
				// there is nothing to be had earlier, so do not spin.
				wait = max(gap/10, time.Until(at.Add(gap)))
			}
		}
		timer.Reset(wait)
	}
}
