package store

import (
	"context"
	"time"
)

// Queue hands out items of work until they are done, also after a crash. An item has
// a lane, in which it is taken, a name, which tells it from others of its lane, and an
// encrypted value. Lanes and names are single tokens of keys, see Table.
type Queue struct{}

// QueueConfig describes a queue.
type QueueConfig struct {
	Name string // in lower-case letters
	// Renewal is how long an item stays with whoever took it. They must renew it more
	// often than that, and get it again otherwise.
	Renewal time.Duration
}

// Queue opens a queue and makes it if it is not there.
func (s *Store) Queue(ctx context.Context, cfg QueueConfig) (*Queue, error) {
	panic("store: not built yet")
}

// Add adds an item, durable when it returns nil. The same item (lane and name) that
// was added within the last two minutes is not added again, which is no error.
func (q *Queue) Add(ctx context.Context, lane, name string, value []byte) error {
	panic("store: not built yet")
}

// AddAt adds an item that is handed out at a time, or a little later, but not before.
// It takes the place of one that waits for its time with the same lane and name.
func (q *Queue) AddAt(ctx context.Context, lane, name string, value []byte, at time.Time) error {
	panic("store: not built yet")
}

// Remove removes an item that waits, or waits for its time. It is no error if there is
// none. One that was taken stays with its taker.
func (q *Queue) Remove(ctx context.Context, lane, name string) error { panic("store: not built yet") }

// RemoveLane removes all items of a lane, and what is kept to hand them out. Nobody
// may take from it at that time.
func (q *Queue) RemoveLane(ctx context.Context, lane string) error { panic("store: not built yet") }

// Waiting returns how many items of a lane, or of all lanes if that is empty, are not
// done: those that wait or are taken, and those that wait for their time.
func (q *Queue) Waiting(ctx context.Context, lane string) (now, later int, err error) {
	panic("store: not built yet")
}

// Take hands out the items of a lane to f, in their order, until the taker is stopped;
// at most n of them are out at a time. f must not block: it hands the item on. What
// was out when the process was killed is handed out again at once: one process takes
// from a lane.
func (q *Queue) Take(ctx context.Context, lane string, n int, f func(*Item)) (*Taker, error) {
	panic("store: not built yet")
}

// Taker is somebody who takes items from a lane.
type Taker struct{}

// Stop ends handing out. It returns when f is not called any more; items that are out
// can still be done or released. It may be called more than once.
func (t *Taker) Stop() { panic("store: not built yet") }

// Item is a piece of work that was taken. Exactly one of Done and Release must be
// called, once.
type Item struct {
	Lane, Name string
	Value      []byte
	Tries      int // how often it was handed out, with this time
}

// Done removes the item. When it returns nil, that is durable; an error means that
// the item may be handed out again.
func (i *Item) Done(ctx context.Context) error { panic("store: not built yet") }

// Renew keeps the item for another QueueConfig.Renewal. It costs no write.
func (i *Item) Renew() error { panic("store: not built yet") }

// Release gives the item back: it is handed out again at once, to whoever takes.
func (i *Item) Release() error { panic("store: not built yet") }
