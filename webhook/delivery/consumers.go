package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"pollbridge/internal/period"
)

// consumers holds those that have work, or had some a moment ago: each costs memory, so a
// thousand quiet subscriptions have none.
type consumers struct {
	s *Service

	mu      sync.Mutex
	all     map[string]*consumer // guarded by mu, like all below
	started bool
}

// start lets consumers be opened, and opens those for which there is something left to do.
func (cs *consumers) start() {
	cs.mu.Lock()
	cs.started = true
	cs.mu.Unlock()
	cs.s.background.Go(cs.resume)
	if cs.s.store.Shared() {
		cs.s.background.Go(func() { every(cs.s.living, joinEvery, cs.join) })
	}
}

// resume opens those for which the queue has something, whoever it was for.
func (cs *consumers) resume() {
	for cs.s.living.Err() == nil {
		names, err := cs.s.queue.Subjects(cs.s.living)
		if err == nil {
			for _, name := range names {
				cs.ensure(name)
			}
			return
		}
		cs.s.log.Warn("cannot find what waits in the delivery queue, trying again", "error", err)
		period.Pause(cs.s.living, againAfter)
	}
}

// join opens those for which somebody else takes from the queue, or did: it may be gone.
func (cs *consumers) join() {
	names, err := cs.s.queue.Consumed(cs.s.living)
	if err != nil {
		return // it is asked again soon
	}
	for _, name := range names {
		if cs.get(name) == nil && cs.hasWork(cs.s.living, name) {
			cs.ensure(name)
		}
	}
}

// ensure sees to it that the queue is taken from for a consumer, now or soon. Whoever adds an
// item calls it after that, so that one which closes meanwhile is opened again.
func (cs *consumers) ensure(name string) {
	if c, _ := cs.open(name); c != nil {
		c.queued()
	}
}

// open returns a consumer, which it makes if there is none; nil where none is opened.
func (cs *consumers) open(name string) (c *consumer, isNew bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.started || cs.s.living.Err() != nil {
		return nil, false // start looks for work everywhere
	}
	if c := cs.all[name]; c != nil {
		return c, false
	}
	c = newConsumer(cs.s, name)
	cs.all[name] = c
	cs.s.background.Go(c.run)
	return c, true
}

// offer has a consumer take a job from the log, see consumer.offer.
func (cs *consumers) offer(ctx context.Context, name string, j *job) bool {
	c, isNew := cs.open(name)
	if c == nil {
		return false
	}
	if isNew && cs.hasWork(ctx, name) { // from before
		c.queued()
	}
	return c.offer(j)
}

// get returns a consumer if it is open.
func (cs *consumers) get(name string) *consumer {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.all[name]
}

// has reports whether a consumer has a delivery in hand or in line.
func (cs *consumers) has(name, job string) bool {
	c := cs.get(name)
	return c != nil && c.has(job)
}

// stop ends the service's life, after which no consumer is opened any more.
func (cs *consumers) stop() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.s.end()
}

// hasWork also counts what is due later.
func (cs *consumers) hasWork(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now, later, err := cs.s.queue.Waiting(ctx, name)
	return err != nil || now+later > 0
}

func (cs *consumers) opened() []*consumer {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Values(cs.all))
}

// closeIdle closes consumers that had nothing to do for a while.
func (cs *consumers) closeIdle(after time.Duration) {
	for _, c := range cs.opened() {
		if cs.hasWork(cs.s.living, c.name) || !c.closeIfIdle(after) {
			continue
		}
		cs.mu.Lock()
		delete(cs.all, c.name)
		cs.mu.Unlock()
		// An item may have been added since they were counted, and whoever did so may
		// have found the consumer there.
		if cs.s.living.Err() == nil && cs.hasWork(cs.s.living, c.name) {
			cs.ensure(c.name)
		}
	}
}
