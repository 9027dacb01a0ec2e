package webhook

import (
	"sync"
	"time"
)

const (
	// caughtUpFor is how long it counts that a subscription was caught up.
	caughtUpFor = time.Second
	// mostCaughtUp is of how many subscriptions that is remembered: of more, all is forgotten.
	mostCaughtUp = 16384
)

// caughtUp remembers which subscriptions were caught up with their sessions a moment ago:
// clients attach them with each poll, and looking again costs two reads. It is safe for
// concurrent use.
//
// It is about what this process knows. Where another one has recorded an end of the session
// meanwhile, attaching again counts as if it had come a second earlier: the next poll after
// that looks again, and the end itself goes to the subscription in any case, as it is there.
type caughtUp struct {
	now func() time.Time

	mu    sync.Mutex
	by    map[string]map[string]*catchingUp // by session, then by subscription; guarded by mu, as below
	count int
}

// catchingUp is one look at what a session has come to.
type catchingUp struct {
	began time.Time
	over  bool
}

func newCaughtUp(now func() time.Time) *caughtUp {
	return &caughtUp{now: now, by: map[string]map[string]*catchingUp{}}
}

// begin is called before it is looked what a session has come to, and done after that. What
// is forgotten between the two stays so: the look may have come before the end.
func (c *caughtUp) begin(sessionID, id string) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count >= mostCaughtUp {
		c.by, c.count = map[string]map[string]*catchingUp{}, 0
	}
	if c.by[sessionID] == nil {
		c.by[sessionID] = map[string]*catchingUp{}
	}
	if c.by[sessionID][id] == nil {
		c.count++
	}
	look := &catchingUp{began: c.now()}
	c.by[sessionID][id] = look
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		look.over = true
	}
}

// has reports whether a subscription was caught up a moment ago.
func (c *caughtUp) has(sessionID, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	look := c.by[sessionID][id]
	return look != nil && look.over && c.now().Sub(look.began) < caughtUpFor
}

// forget is told that something has happened to a session.
func (c *caughtUp) forget(sessionID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count -= len(c.by[sessionID])
	delete(c.by, sessionID)
}
