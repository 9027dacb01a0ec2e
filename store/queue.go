package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Queue hands out items of work until they are acknowledged, also after a crash. An item
// has a subject, which a consumer asks for, a name, which tells it from others of its
// subject, and an encrypted value. Subjects and names are single tokens of keys, see Bucket.
type Queue struct {
	stream
	name    string
	ackWait time.Duration
}

// QueueConfig describes a queue.
type QueueConfig struct {
	Name string // in lower-case letters
	// AckWait is how long an item stays with whoever it was handed to, or up to 1.5 s less. They
	// must say much more often that it is in progress: else it is handed out again.
	AckWait time.Duration
}

// addedOnce is how long the same item is not added twice.
const addedOnce = 2 * time.Minute

// Queue opens a queue and makes it if it is not there.
func (s *Store) Queue(ctx context.Context, cfg QueueConfig) (*Queue, error) {
	id := "QUEUE_" + cfg.Name
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: id, Subjects: []string{id + ".do.>", id + ".at.>"}, Retention: jetstream.WorkQueuePolicy,
		AllowMsgSchedules: true, AllowRollup: true, Duplicates: addedOnce,
	}, collectingRecords)
	if err != nil {
		return nil, err
	}
	return &Queue{stream: opened, name: cfg.Name, ackWait: cfg.AckWait}, nil
}

// do is the subject of items that can be handed out, at that of items that wait for their
// time. No consumer asks for at.
func (q *Queue) do(subject, name string) string { return q.id + ".do." + subject + "." + name }
func (q *Queue) at(subject, name string) string { return q.id + ".at." + subject + "." + name }

func (q *Queue) place(subject, name string) place { return placeOf("queue", q.name, subject, name) }

// Add adds an item, durable when it returns nil. The same item (subject and name) that
// was added within the last two minutes is not added again, which is no error, also if
// it was acknowledged or removed meanwhile; AddAt adds it in any case.
func (q *Queue) Add(ctx context.Context, subject, name string, value []byte) error {
	return q.add(ctx, nats.NewMsg(q.do(subject, name)), subject, name, value, jetstream.WithMsgID(subject+"."+name))
}

// AddAt adds an item that is handed out at a time (see [Store.Now]), or a little later, but not before.
// It takes the place of one that waits for its time with the same subject and name.
func (q *Queue) AddAt(ctx context.Context, subject, name string, value []byte, at time.Time) error {
	m := nats.NewMsg(q.at(subject, name))
	m.Header.Set(jetstream.ScheduleHeader, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, q.s.prefix.subject(q.do(subject, name)))
	return q.add(ctx, m, subject, name, value)
}

func (q *Queue) add(ctx context.Context, m *nats.Msg, subject, name string, value []byte, options ...jetstream.PublishOpt) error {
	if err := checkTokens(subject, name); err != nil {
		return err
	}
	m.Data = q.s.keys.encrypt(q.place(subject, name), value)
	_, err := q.s.publish(ctx, m, options...)
	return err
}

// Remove removes an item that waits, or waits for its time. It is no error if there is
// none. One that is out stays with its consumer, but is not handed out again.
func (q *Queue) Remove(ctx context.Context, subject, name string) error {
	if err := checkTokens(subject, name); err != nil {
		return err
	}
	// What waits for its time comes first: it could become due between.
	if err := q.purge(ctx, q.at(subject, name)); err != nil {
		return err
	}
	return q.purge(ctx, q.do(subject, name))
}

// Waiting returns how many items of a subject, or of all subjects if that is empty, are
// not acknowledged: those that wait or are out, and those that wait for their time.
func (q *Queue) Waiting(ctx context.Context, subject string) (now, later int, err error) {
	if subject == "" {
		all, err := q.count(ctx, "", 1)
		if err != nil || all == 0 {
			return 0, 0, err
		}
		now, err = q.count(ctx, q.do("*", "*"), 1)
		return now, max(0, all-now), err
	}
	if err := checkTokens(subject); err != nil {
		return 0, 0, err
	}
	now, err = q.count(ctx, q.do(subject, "*"), 1)
	if err != nil {
		return 0, 0, err
	}
	later, err = q.count(ctx, q.at(subject, "*"), 1)
	return now, later, err
}
