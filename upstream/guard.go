package upstream

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// guard is the circuit breaker.
//
// open_for bounds how long the end of an outage can go unnoticed, so it is shared
// out: half of it the breaker rests, a quarter a probe may take while the upstream
// is silent (see health), and a quarter is left for the next poll to come along.
type guard struct {
	breaker *gobreaker.CircuitBreaker[struct{}]
	rest    time.Duration
	log     *slog.Logger

	closed   atomic.Bool  // all is well; asking the breaker takes its lock
	openedAt atomic.Int64 // Unix nanoseconds; 0 while not open
	reason   atomic.Value // of the last failure, a Reason
	passing  atomic.Int64 // requests that pass through while the upstream is probed
	probes   int64
	notices  chan gobreaker.State
	quit     chan struct{}
	done     sync.WaitGroup
}

func newGuard(name string, cfg BreakerConfig, log *slog.Logger, observe func(gobreaker.State)) *guard {
	g := &guard{rest: cfg.OpenFor / 2, probes: int64(cfg.Probes), log: log, notices: make(chan gobreaker.State, 16), quit: make(chan struct{})}
	g.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         name,
		MaxRequests:  uint32(cfg.Probes),
		Interval:     cfg.Window,
		BucketPeriod: cfg.Window / 10,
		Timeout:      g.rest,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.Requests >= uint32(cfg.MinRequests) &&
				float64(counts.TotalFailures) >= cfg.FailureRatio*float64(counts.Requests)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoVerdict) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			// The breaker's lock is held here: nothing in this function may block.
			g.closed.Store(to == gobreaker.StateClosed)
			g.openedAt.Store(0)
			if to == gobreaker.StateOpen {
				g.openedAt.Store(time.Now().UnixNano())
			}
			observe(to)
			select {
			case g.notices <- to:
			default:
			}
		},
	})
	g.closed.Store(true)
	g.done.Go(g.logChanges)
	return g
}

// errNoVerdict ends a request that says nothing about the upstream: its client left.
var errNoVerdict = errors.New("no verdict")

// run calls send if a request may be sent. Its verdict is nil if the upstream answered
// sensibly; a panic is a failure. The error is a *Failure if send was not called.
func (g *guard) run(send func() (verdict error)) error {
	sent := false
	_, err := g.breaker.Execute(func() (struct{}, error) {
		sent = true
		verdict := send()
		g.note(verdict)
		return struct{}{}, verdict
	})
	if !sent {
		return notSent(Open, g.reopens(), err)
	}
	return nil
}

// pass is for requests that may take as long as they like. They take no probe's place
// while they are under way: the verdict counts when it is there. Of those that
// probe, no more are let through than of others. If the error is nil, the caller must
// call judge exactly once.
func (g *guard) pass() (probes bool, err error) {
	if g.closed.Load() {
		return false, nil
	}
	switch g.breaker.State() {
	case gobreaker.StateOpen:
		return false, notSent(Open, g.reopens(), gobreaker.ErrOpenState)
	case gobreaker.StateHalfOpen:
		if g.passing.Add(1) > g.probes {
			g.passing.Add(-1)
			return false, notSent(Open, 0, gobreaker.ErrTooManyRequests)
		}
		return true, nil
	}
	return false, nil
}

// judge tells the breaker of a request that pass let through, and whether that probes.
func (g *guard) judge(probes bool, verdict error) {
	if probes {
		g.passing.Add(-1)
	}
	g.note(verdict)
	_, _ = g.breaker.Execute(func() (struct{}, error) { return struct{}{}, verdict })
}

// note remembers why a request failed, for the log.
func (g *guard) note(verdict error) {
	if verdict == nil {
		return
	}
	if failure, ok := errors.AsType[*Failure](verdict); ok {
		g.reason.Store(failure.Reason)
	}
}

// probing reports whether the next request is a probe.
func (g *guard) probing() bool { return g.breaker.State() == gobreaker.StateHalfOpen }

// reopens is how long the breaker stays open from now on.
func (g *guard) reopens() time.Duration {
	opened := g.openedAt.Load()
	if opened == 0 {
		return time.Second
	}
	return g.rest - time.Since(time.Unix(0, opened))
}

func (g *guard) logChanges() {
	for {
		select {
		case state := <-g.notices:
			g.logChange(state)
		case <-g.quit:
			return
		}
	}
}

func (g *guard) logChange(state gobreaker.State) {
	switch state {
	case gobreaker.StateOpen:
		g.log.Warn("upstream is failing: circuit opened", "last_failure", g.reason.Load(), "rest", g.rest)
	case gobreaker.StateHalfOpen:
		g.log.Info("upstream is probed: circuit half-open")
	case gobreaker.StateClosed:
		g.log.Info("upstream answers: circuit closed")
	}
}

// close stops the log and waits for it.
func (g *guard) close() {
	close(g.quit)
	g.done.Wait()
}
