package store

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Queue hands out items of work until they are done, also after a crash. An item has
// a lane, in which it is taken, a name, which tells it from others of its lane, and an
// encrypted value. Lanes and names are single tokens of keys, see Table.
type Queue struct {
	stream
	name    string
	renewal time.Duration

	mu    sync.Mutex
	lanes map[string]*lane // guarded by mu; those that are taken from, or have items out
}

// QueueConfig describes a queue.
type QueueConfig struct {
	Name string // in lower-case letters
	// Renewal is how long an item stays with whoever took it. They must renew it more
	// often than that, and get it again otherwise.
	Renewal time.Duration
}

// addedOnce is how long the same item is not added twice.
const addedOnce = 2 * time.Minute

// Queue opens a queue and makes it if it is not there.
func (s *Store) Queue(ctx context.Context, cfg QueueConfig) (*Queue, error) {
	id := "QUEUE_" + cfg.Name
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: id, Subjects: []string{id + ".do.>", id + ".at.>"}, Retention: jetstream.WorkQueuePolicy,
		AllowMsgSchedules: true, AllowRollup: true, Duplicates: addedOnce,
	})
	if err != nil {
		return nil, err
	}
	q, _ := s.queues.LoadOrStore(id, &Queue{stream: opened, name: cfg.Name, renewal: cfg.Renewal, lanes: map[string]*lane{}})
	return q.(*Queue), nil
}

// do is the subject of items that can be taken, at that of items that wait for their
// time. No consumer takes from at.
func (q *Queue) do(lane, name string) string { return q.id + ".do." + lane + "." + name }
func (q *Queue) at(lane, name string) string { return q.id + ".at." + lane + "." + name }

func (q *Queue) place(lane, name string) place { return placeOf("queue", q.name, lane, name) }

// Add adds an item, durable when it returns nil. The same item (lane and name) that
// was added within the last two minutes is not added again, which is no error, also if
// it was done or removed meanwhile; AddAt adds it in any case.
func (q *Queue) Add(ctx context.Context, lane, name string, value []byte) error {
	return q.add(ctx, nats.NewMsg(q.do(lane, name)), lane, name, value, jetstream.WithMsgID(lane+"."+name))
}

// AddAt adds an item that is handed out at a time, or a little later, but not before.
// It takes the place of one that waits for its time with the same lane and name.
func (q *Queue) AddAt(ctx context.Context, lane, name string, value []byte, at time.Time) error {
	m := nats.NewMsg(q.at(lane, name))
	m.Header.Set(jetstream.ScheduleHeader, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, q.do(lane, name))
	return q.add(ctx, m, lane, name, value)
}

func (q *Queue) add(ctx context.Context, m *nats.Msg, lane, name string, value []byte, options ...jetstream.PublishOpt) error {
	if err := checkTokens(lane, name); err != nil {
		return err
	}
	m.Data = q.s.keys.encrypt(q.place(lane, name), value)
	_, err := q.s.publish(ctx, m, options...)
	return err
}

// Remove removes an item that waits, or waits for its time. It is no error if there is
// none. One that was taken stays with its taker, but is not handed out again.
func (q *Queue) Remove(ctx context.Context, lane, name string) error {
	if err := checkTokens(lane, name); err != nil {
		return err
	}
	return q.remove(ctx, lane, name)
}

// remove removes what waits for its time first: it could become due between.
func (q *Queue) remove(ctx context.Context, lane, name string) error {
	if err := q.purge(ctx, q.at(lane, name)); err != nil {
		return err
	}
	return q.purge(ctx, q.do(lane, name))
}

// RemoveLane removes all items of a lane, and what is kept to hand them out. Nobody
// may take from it at that time.
func (q *Queue) RemoveLane(ctx context.Context, lane string) error {
	if err := checkTokens(lane); err != nil {
		return err
	}
	return q.remove(ctx, lane, "*")
}

// Waiting returns how many items of a lane, or of all lanes if that is empty, are not
// done: those that wait or are taken, and those that wait for their time.
func (q *Queue) Waiting(ctx context.Context, lane string) (now, later int, err error) {
	if lane == "" {
		lane = "*"
	} else if err := checkTokens(lane); err != nil {
		return 0, 0, err
	}
	now, err = q.count(ctx, q.do(lane, "*"))
	if err != nil {
		return 0, 0, err
	}
	later, err = q.count(ctx, q.at(lane, "*"))
	return now, later, err
}
