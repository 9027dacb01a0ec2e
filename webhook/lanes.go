package webhook

import (
	"context"
	"sync"
	"time"
)

// lanes holds the lanes that have work, or had a moment ago: what takes from a lane
// costs memory, so a thousand quiet subscriptions have none.
type lanes struct {
	s *Service

	mu     sync.Mutex
	all    map[string]*lane // guarded by mu, like all below
	opened bool             // Start was called, and Close was not
}

func newLanes(s *Service) *lanes { return &lanes{s: s, all: map[string]*lane{}} }

// start lets lanes be opened.
func (ls *lanes) start() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.opened = true
}

// ensure sees to it that a lane is taken from, soon if not at once. Whoever adds an
// item calls it after that, so that a lane that closes meanwhile is opened again.
func (ls *lanes) ensure(name string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.opened {
		return // Start looks for work everywhere
	}
	if l := ls.all[name]; l != nil {
		l.mu.Lock()
		l.lastUsed = time.Now()
		l.mu.Unlock()
		return
	}
	l := newLane(ls.s, name)
	ls.all[name] = l
	ls.s.background.Go(func() { ls.open(l) })
}

// open insists until the lane is open or not wanted any more.
func (ls *lanes) open(l *lane) {
	ctx := ls.s.living
	for ctx.Err() == nil && ls.get(l.name) == l {
		patient, cancel := context.WithTimeout(ctx, storePatience)
		err := l.open(patient)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			ls.s.log.Warn("cannot open a delivery queue, deliveries wait", "queue", l.name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (ls *lanes) get(name string) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.all[name]
}

// list returns all open lanes.
func (ls *lanes) list() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	list := make([]*lane, 0, len(ls.all))
	for _, l := range ls.all {
		list = append(list, l)
	}
	return list
}

// resume opens the lanes in which there is something left to do.
func (ls *lanes) resume(ctx context.Context, names []string) {
	for _, name := range names {
		now, later, err := ls.s.queue.Waiting(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if err != nil || now+later > 0 { // if in doubt
			ls.ensure(name)
		}
	}
}

// sweep closes lanes that are idle and have nothing left to do, not even later.
func (ls *lanes) sweep(ctx context.Context, after time.Duration) {
	for _, l := range ls.list() {
		if !l.idle(time.Now(), after) {
			continue
		}
		if now, later, err := ls.s.queue.Waiting(ctx, l.name); err != nil || now+later > 0 {
			continue
		}
		if !ls.detach(l, after) {
			continue
		}
		l.close()
		// An item may have been added since it was counted, and whoever did so may have
		// found the lane open.
		ls.resume(ctx, []string{l.name})
	}
}

func (ls *lanes) detach(l *lane, after time.Duration) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all[l.name] != l || !l.idle(time.Now(), after) {
		return false
	}
	delete(ls.all, l.name)
	return true
}

// remove closes a lane and removes what waits in it.
func (ls *lanes) remove(ctx context.Context, name string) error {
	ls.mu.Lock()
	l := ls.all[name]
	delete(ls.all, name)
	ls.mu.Unlock()
	if l != nil {
		l.close()
	}
	return ls.s.queue.RemoveLane(ctx, name)
}

// close closes all lanes.
func (ls *lanes) close() {
	ls.mu.Lock()
	ls.opened = false
	ls.mu.Unlock()
	var closing sync.WaitGroup
	for _, l := range ls.list() {
		closing.Go(l.close)
	}
	closing.Wait()
}
