package upstream

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// breaker is the circuit breaker. It is gobreaker's; what counts is decided here and in
// its tally: no single session may open it for the others, however it fails.
//
// open_for bounds how long the end of an outage can go unnoticed, so it is shared
// out: half of it the breaker rests, a quarter a probe may take while the upstream
// is silent (see timeouts), and a quarter is left for the next poll to come along.
type breaker struct {
	cfg     BreakerConfig
	rest    time.Duration
	log     *slog.Logger
	gauge   prometheus.Gauge // of its state
	circuit *gobreaker.CircuitBreaker[struct{}]

	tally      atomic.Pointer[tally] // since the state changed: what was before says nothing about the time after it
	restsUntil atomic.Pointer[time.Time]
	reason     atomic.Value // of the last failure, a Reason
	forwards   atomic.Int64 // requests that pass through while the upstream is probed
}

// verdict is what the outcome of a request says about the upstream. For gobreaker it is
// the request's error.
type verdict uint8

// Error is for gobreaker alone: no error of this package wraps a verdict.
func (v verdict) Error() string {
	return [...]string{"nothing", "healthy", "failing", "unreachable"}[v]
}

const (
	nothing     verdict = iota
	healthy             // it answers sensibly
	failing             // it does not, or not this session
	unreachable         // no connection to it could be made
)

func newBreaker(name string, cfg BreakerConfig, log *slog.Logger, gauge prometheus.Gauge) *breaker {
	b := &breaker{cfg: cfg, rest: cfg.OpenFor / 2, log: log, gauge: gauge}
	b.tally.Store(newTally(cfg))
	b.restsUntil.Store(new(time.Time))
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          name,
		MaxRequests:   uint32(cfg.Probes),
		Timeout:       b.rest,
		ReadyToTrip:   func(gobreaker.Counts) bool { return b.tally.Load().tripped() },
		IsExcluded:    func(err error) bool { return err == nothing },
		IsSuccessful:  func(err error) bool { return err == healthy },
		OnStateChange: func(_ string, _, to gobreaker.State) { b.changed(to) },
	})
	return b
}

// changed is called with the breaker's lock held: nothing in it may block.
func (b *breaker) changed(to gobreaker.State) {
	b.tally.Store(b.tally.Load().anew())
	b.gauge.Set(float64(to)) // as its help says
	switch to {
	case gobreaker.StateOpen:
		b.restsUntil.Store(new(time.Now().Add(b.rest)))
		b.log.Warn("upstream is failing: circuit opened", "last_failure", b.reason.Load(), "rest", b.rest)
	case gobreaker.StateHalfOpen:
		b.log.Info("upstream is probed: circuit half-open")
	case gobreaker.StateClosed:
		b.log.Info("upstream answers: circuit closed")
	}
}

// run calls send if a poll of a session may be sent, and returns its error. A *Failure
// tells what it says about the upstream, no error that it is healthy; a panic is a
// failure.
func (b *breaker) run(session uint64, send func(probing bool) error) (err error) {
	sent := false
	_, refused := b.circuit.Execute(func() (struct{}, error) {
		sent = true
		tally, probing := b.tally.Load(), b.circuit.State() == gobreaker.StateHalfOpen
		tally.note(session, nothing)
		err = send(probing)
		v := verdictOf(err)
		tally.note(session, v)
		if v == failing && probing {
			// It may be the session's own fault, as long as others are answered, or few were asked.
			if _, counted, failures := tally.count(); failures < leastCounted || failures < counted {
				v = nothing
			}
		}
		return struct{}{}, b.judge(v, err)
	})
	if !sent {
		return b.refusal(refused)
	}
	return err
}

func verdictOf(err error) verdict {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.verdict
	}
	if err != nil {
		return nothing
	}
	return healthy
}

// judge returns a verdict, which err is the reason of, for gobreaker. That ignores what
// began before its state changed.
func (b *breaker) judge(v verdict, err error) verdict {
	if failure, ok := errors.AsType[*Failure](err); ok && v > healthy {
		b.reason.Store(failure.Reason)
	}
	return v
}

// admit is for requests that pass through and may take as long as they like. They take
// no probe's turn while they are under way: the verdict counts when it is there. Of
// those that probe, no more are let through than of others. If the error is nil, the
// caller must call ended exactly once.
func (b *breaker) admit() (probing bool, err error) {
	switch b.circuit.State() {
	case gobreaker.StateOpen:
		return false, b.refusal(gobreaker.ErrOpenState)
	case gobreaker.StateHalfOpen:
		if b.forwards.Add(1) > int64(b.cfg.Probes) {
			b.forwards.Add(-1)
			return false, b.refusal(gobreaker.ErrTooManyRequests)
		}
		return true, nil
	}
	return false, nil
}

// ended tells of a request that admit let through. What it says besides whether the
// upstream can be reached may be its own fault: so it opens nothing, but it closes.
func (b *breaker) ended(probing bool, v verdict, err error) {
	if probing {
		b.forwards.Add(-1)
	}
	if v == unreachable {
		b.tally.Load().note(0, v)
	}
	if v == unreachable || v == healthy && probing {
		_, _ = b.circuit.Execute(func() (struct{}, error) { return struct{}{}, b.judge(v, err) })
	}
}

// open is the error of polls while the breaker is open, or nil.
func (b *breaker) open() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return b.refusal(gobreaker.ErrOpenState)
	}
	return nil
}

// refusal is the error of a request that was not let through.
func (b *breaker) refusal(err error) *Failure {
	return notSent(Open, time.Until(*b.restsUntil.Load()), err)
}
