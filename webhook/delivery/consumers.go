package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// consumers holds those that have work, or had some a moment ago: each costs memory, so a
// thousand quiet subscriptions have none.
type consumers struct {
	s *Service

	mu      sync.Mutex
	all     map[string]*consumer // guarded by mu, like all below
	started bool
}

// start opens those for which there is something left to do.
func (cs *consumers) start(names []string) {
	cs.mu.Lock()
	cs.started = true
	cs.mu.Unlock()
	cs.s.background.Go(func() { cs.resume(names...) })
}

// ensure sees to it that a consumer is there, now or soon. Whoever adds an item calls it
// after that, so that one that closes meanwhile is opened again.
func (cs *consumers) ensure(name string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.started || cs.s.living.Err() != nil || cs.all[name] != nil {
		return // start looks for work everywhere
	}
	c := newConsumer(cs.s, name)
	cs.all[name] = c
	cs.s.background.Go(c.run)
}

// stop ends the service's life, after which no consumer is opened any more.
func (cs *consumers) stop() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.s.end()
}

// resume opens those of the named consumers that have something to do, or may have.
func (cs *consumers) resume(names ...string) {
	for _, name := range names {
		if cs.s.living.Err() == nil && cs.hasWork(name) {
			cs.ensure(name)
		}
	}
}

// hasWork also counts what is due later.
func (cs *consumers) hasWork(name string) bool {
	now, later, err := cs.s.queue.Waiting(cs.s.living, name)
	return err != nil || now+later > 0
}

func (cs *consumers) list() []*consumer {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Values(cs.all))
}

// closeIdle closes consumers that had nothing to do for a while.
func (cs *consumers) closeIdle(after time.Duration) {
	for _, c := range cs.list() {
		if c.idle() > after && !cs.hasWork(c.name) {
			cs.close(c.name)
			// An item may have been added since they were counted, and whoever did so may
			// have found the consumer there.
			cs.resume(c.name)
		}
	}
}

func (cs *consumers) close(name string) {
	cs.mu.Lock()
	c := cs.all[name]
	cs.mu.Unlock()
	if c == nil {
		return
	}
	c.close() // before it is forgotten: a queue has one consumer at a time
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all[name] == c {
		delete(cs.all, name)
	}
}

// remove closes a consumer and removes what waits for it.
func (cs *consumers) remove(ctx context.Context, name string) error {
	cs.close(name)
	return cs.s.queue.Purge(ctx, name)
}
