package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// demoSigning is one session of the upstream.
type demoSigning struct {
	service string // the first part of its paths
	token   string

	mu     sync.Mutex
	joined time.Time // when the first client came to poll; guarded by mu
	told   bool      // a client knows how it ended; guarded by mu
	ended  chan struct{}
}

func newDemoSigning(service, token string) *demoSigning {
	return &demoSigning{service: service, token: token, ended: make(chan struct{})}
}

func (s *demoSigning) join(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined.IsZero() {
		s.joined = at
	}
}

// tell notes that a client was told how the signing ended. It is true for the
// first one.
func (s *demoSigning) tell() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return false
	}
	s.told = true
	close(s.ended)
	return true
}

func (s *demoSigning) wasTold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

// polledFrom is since when a client could have been told of an end at that time:
// where clients are fewer than signings, some signings wait for one.
func (s *demoSigning) polledFrom(end time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined.After(end) {
		return s.joined
	}
	return end
}

// demoDesk is where one signing after another takes place.
type demoDesk struct {
	service string

	mu      sync.Mutex
	signing *demoSigning  // nil before the first; guarded by mu
	opened  chan struct{} // closed when there is another one; guarded by mu
}

func newDemoDesk(service string) *demoDesk {
	return &demoDesk{service: service, opened: make(chan struct{})}
}

func (d *demoDesk) open(s *demoSigning) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signing = s
	close(d.opened)
	d.opened = make(chan struct{})
}

func (d *demoDesk) look() (current *demoSigning, opened <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.signing, d.opened
}

// next waits for a signing that is not last. It returns nil if ctx ends first.
func (d *demoDesk) next(ctx context.Context, last *demoSigning) *demoSigning {
	for {
		current, opened := d.look()
		if current != last && current != nil {
			return current
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return nil
		}
	}
}

// keepBusy has a signing under way at the desk until ctx ends. The one who starts
// it is a client too, and polls once at once.
func (d *demoDesk) keepBusy(ctx context.Context, c *demoClient, o *demoOutage) {
	for ctx.Err() == nil {
		signing, ok := d.begin(ctx, c, o)
		if !ok {
			demoPause(ctx, time.Second+rand.N(time.Second)) // the upstream is down
			continue
		}
		d.open(signing)
		select {
		case <-signing.ended:
		case <-ctx.Done():
		}
	}
}

func (d *demoDesk) begin(ctx context.Context, c *demoClient, o *demoOutage) (*demoSigning, bool) {
	o.starting.RLock()
	defer o.starting.RUnlock()
	token, err := c.start(ctx, d.service)
	if err != nil {
		return nil, false
	}
	signing := newDemoSigning(d.service, token)
	c.poll(ctx, signing)
	return signing, true
}
