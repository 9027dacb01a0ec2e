package upstream

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// breaker is the circuit breaker. It is gobreaker's; what counts is decided here and in
// its tally: no single session may open it for the others, however it fails.
//
// open_for bounds how long the end of an outage can go unnoticed, so it is shared
// out: half of it the breaker rests, a quarter a probe may take while the upstream
// is silent (see timeouts), and a quarter is left for the next poll to come along.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]
	tally   tally
	rest    time.Duration
	probes  int64
	log     *slog.Logger
	observe func(gobreaker.State)

	born     time.Time
	state    atomic.Int64 // the gobreaker.State that it has changed to
	changes  atomic.Int64
	openedAt atomic.Int64 // nanoseconds since it was born
	reason   atomic.Value // of the last failure, a Reason
	forwards atomic.Int64 // requests that pass through while the upstream is probed
}

// verdict is what the outcome of a request says about the upstream.
type verdict uint8

const (
	nothing     verdict = iota
	healthy             // it answers sensibly
	failing             // it does not, or not this session
	unreachable         // no connection to it could be made
)

var (
	errFailing   = errors.New("it counts as a failure")
	errNoVerdict = errors.New("it counts as nothing")
)

func newBreaker(name string, cfg BreakerConfig, log *slog.Logger, observe func(gobreaker.State)) *breaker {
	b := &breaker{
		tally: tally{window: cfg.Window, minRequests: cfg.MinRequests, ratio: cfg.FailureRatio},
		rest:  cfg.OpenFor / 2, probes: int64(cfg.Probes), log: log, observe: observe, born: time.Now(),
	}
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          name,
		MaxRequests:   uint32(cfg.Probes),
		Timeout:       b.rest,
		ReadyToTrip:   func(gobreaker.Counts) bool { return b.tally.tripped() },
		IsExcluded:    func(err error) bool { return errors.Is(err, errNoVerdict) },
		OnStateChange: func(_ string, _, to gobreaker.State) { b.changed(to) },
	})
	return b
}

// changed is called with the breaker's lock held: nothing in it may block.
func (b *breaker) changed(to gobreaker.State) {
	if to == gobreaker.StateOpen {
		b.openedAt.Store(int64(time.Since(b.born)))
	}
	b.state.Store(int64(to))
	b.changes.Add(1)
	b.tally.reset()
	b.observe(to)
	switch to {
	case gobreaker.StateOpen:
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
		changes := b.changes.Load()
		probing := b.is(gobreaker.StateHalfOpen)
		b.tally.asked(session)
		err = send(probing)
		if b.changes.Load() != changes {
			return struct{}{}, errNoVerdict // it is about a time that is over
		}
		return struct{}{}, b.judge(session, err, probing)
	})
	if !sent {
		return b.refusal(refused)
	}
	return err
}

// judge is what gobreaker is told of a poll that ended with err.
func (b *breaker) judge(session uint64, err error, probing bool) error {
	v := verdictOf(err)
	b.tally.answered(session, v)
	switch {
	case v == healthy:
		return nil
	case v == nothing, probing && v == failing && !b.tally.probeFailed(session):
		return errNoVerdict
	}
	return b.counted(err)
}

// counted remembers a failure that counts, for the log.
func (b *breaker) counted(err error) error {
	if failure, ok := errors.AsType[*Failure](err); ok {
		b.reason.Store(failure.Reason)
	}
	return errFailing
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

// admit is for requests that pass through and may take as long as they like. They take
// no probe's turn while they are under way: the verdict counts when it is there. Of
// those that probe, no more are let through than of others. If the error is nil, the
// caller must call ended exactly once.
func (b *breaker) admit() (probing bool, err error) {
	if b.is(gobreaker.StateClosed) {
		return false, nil
	}
	switch b.circuit.State() {
	case gobreaker.StateOpen:
		return false, b.refusal(gobreaker.ErrOpenState)
	case gobreaker.StateHalfOpen:
		if b.forwards.Add(1) > b.probes {
			b.forwards.Add(-1)
			return false, b.refusal(gobreaker.ErrTooManyRequests)
		}
		return true, nil
	}
	return false, nil
}

// ended tells of a request that admit let through. What it says besides whether the
// upstream can be reached may be its own fault: so it opens nothing, but it closes.
func (b *breaker) ended(probing bool, err error) {
	if probing {
		b.forwards.Add(-1)
	}
	switch v := verdictOf(err); {
	case v == unreachable:
		b.tally.answered(0, v)
		_, _ = b.circuit.Execute(func() (struct{}, error) { return struct{}{}, b.counted(err) })
	case v == healthy && probing:
		_, _ = b.circuit.Execute(func() (struct{}, error) { return struct{}{}, nil })
	}
}

func (b *breaker) is(state gobreaker.State) bool { return b.state.Load() == int64(state) }

// open is the error of polls while the breaker is open, or nil.
func (b *breaker) open() error {
	if b.is(gobreaker.StateOpen) && b.circuit.State() == gobreaker.StateOpen {
		return b.refusal(gobreaker.ErrOpenState)
	}
	return nil
}

// refusal is the error of a request that was not let through.
func (b *breaker) refusal(err error) *Failure {
	var left time.Duration
	if b.is(gobreaker.StateOpen) {
		left = b.rest - (time.Since(b.born) - time.Duration(b.openedAt.Load()))
	}
	return notSent(Open, left, err)
}
