package delivery

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/webhook/send"
)

// breaker leaves a receiver alone for a while that fails. What it finds out it has the breakers of
// other processes know, so that they do not fail as often each, and one of them tries whether the
// receiver is well again. It is safe for concurrent use.
type breaker struct {
	name string // of the consumer
	s    *Service

	mu   sync.Mutex
	now  *circuit // guarded by mu, as below; another one when another process has found something out
	mine bool     // it is this process that has found out that the receiver fails, and tries it
}

type circuit = gobreaker.CircuitBreaker[send.Outcome]

func newBreaker(s *Service, name string) *breaker {
	b := &breaker{name: name, s: s}
	b.now = b.circuit(s.openFor, func() bool { return true })
	return b
}

// circuit returns one that is closed. What it finds out others are told while tells returns true.
func (b *breaker) circuit(openFor time.Duration, tells func() bool) *circuit {
	var c *circuit
	c = gobreaker.NewCircuitBreaker[send.Outcome](gobreaker.Settings{
		Name:        b.name,
		MaxRequests: 1, // while half-open
		Timeout:     openFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresToOpen },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotNow) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if tells() && b.found(c, to) {
				b.s.others.tell(b.name, to)
			}
		},
	})
	return c
}

// open returns a circuit that is open for a while: another process has found out that the receiver
// fails.
func (b *breaker) open(left time.Duration) *circuit {
	known := true // to others
	c := b.circuit(left, func() bool { return !known })
	for range failuresToOpen {
		_, _ = c.Execute(func() (o send.Outcome, err error) { return o, errFailed })
	}
	known = false
	return c
}

// found is told what this process has found out, and reports whether that is news. If the receiver was
// reached, that counts, whatever others have said since. That it fails does not: they try it, and would
// leave it to this process.
func (b *breaker) found(c *circuit, state gobreaker.State) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case state == gobreaker.StateClosed:
		b.now, b.mine = c, false
	case b.now == c:
		b.mine = true
	default:
		return false
	}
	return true
}

// hear is told what another process has found out. Where both have, one of them goes on.
func (b *breaker) hear(v verdict, left time.Duration) {
	if v.Well && b.State() == gobreaker.StateClosed {
		return
	}
	b.mu.Lock()
	mine := b.mine
	b.mu.Unlock()
	if !v.Well && mine && v.By > b.s.others.self {
		return
	}
	next := b.circuit(b.s.openFor, func() bool { return true })
	if !v.Well {
		next = b.open(left)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.mine = next, false
}

func (b *breaker) current() *circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// State is that of gobreaker.CircuitBreaker, as is Execute.
func (b *breaker) State() gobreaker.State { return b.current().State() }

func (b *breaker) Execute(attempt func() (send.Outcome, error)) (send.Outcome, error) {
	return b.current().Execute(attempt)
}
