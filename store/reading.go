package store

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// reading is what the server hands out of a stream to this process alone, in order and without
// gaps. It has a consumer in the memory of one server, which is gone with that, and fails then:
// whoever reads makes another one.
//
// The client's ordered consumer would do that itself, for as long as it takes, and by a name that it
// chooses once: where the servers have placed that at one that cannot be reached, it goes on asking
// for that one.
type reading struct {
	st       stream
	consumer jetstream.Consumer
	messages jetstream.MessagesContext
	handed   uint64 // how many messages were handed out
}

const (
	// idleAfter is after which time without requests the server removes a consumer of whoever was killed. Of one
	// stream it has no more than 1,000 by default.
	idleAfter = 2 * time.Minute
	// joinTime is how long is waited for a consumer: it may be at a server that does not answer. One time
	// in three, and where there is one server, it is patience: all of them may be slow.
	joinTime, patience = 3 * time.Second, 10 * time.Second
)

// read begins to read what a configuration describes, which says what is handed out.
func (st stream) read(ctx context.Context, cfg jetstream.ConsumerConfig, pull ...jetstream.PullMessagesOpt) (*reading, error) {
	ctx, cancel := st.s.joining(ctx)
	defer cancel()
	cfg.Name, cfg.FilterSubjects = rand.Text(), st.s.prefix.subjects(cfg.FilterSubjects)
	if len(cfg.FilterSubjects) == 1 {
		cfg.FilterSubject, cfg.FilterSubjects = cfg.FilterSubjects[0], nil
	}
	cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas, cfg.InactiveThreshold = jetstream.AckNonePolicy, true, 1, idleAfter
	consumer, err := untilAnswered(ctx, st.s, func(ctx context.Context) (jetstream.Consumer, error) { return st.js.CreateConsumer(ctx, cfg) })
	if err != nil {
		st.leave(cfg.Name) // it may still be made
		return nil, err
	}
	messages, err := consumer.Messages(pull...)
	if err != nil {
		st.leave(cfg.Name)
		return nil, err
	}
	return &reading{st: st, consumer: consumer, messages: messages}, nil
}

// joining bounds making or finding a consumer.
func (s *Store) joining(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.replicas == 1 || mathrand.N(3) == 0 {
		return context.WithTimeout(ctx, patience)
	}
	return context.WithTimeout(ctx, joinTime)
}

// end ends it, without waiting for anything.
func (r *reading) end() {
	r.messages.Stop()
	r.st.leave(r.consumer.CachedInfo().Name)
}

// leave has the server remove a consumer, which the client does not do. It waits for nothing.
func (st stream) leave(consumer string) {
	_ = st.s.conn.Conn().Publish(jetstream.DefaultAPIPrefix+"CONSUMER.DELETE."+st.s.prefix.stream(st.id)+"."+consumer, nil)
}

var errGap = errors.New("messages were lost on their way from the server")

// next waits for the next message. left is how many more there are.
func (r *reading) next(ctx context.Context) (m *message, left uint64, err error) {
	received, err := r.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, 0, err
	}
	m, place, err := r.st.s.receivedMessage(received)
	if err != nil {
		return nil, 0, err
	}
	if r.handed++; place.Sequence.Consumer != r.handed {
		return nil, 0, errGap
	}
	return m, place.NumPending, nil
}

// receivedMessage is what a consumer handed out as a message of its stream, and where it stands.
func (s *Store) receivedMessage(received jetstream.Msg) (*message, *jetstream.MsgMetadata, error) {
	place, err := received.Metadata()
	if err != nil {
		return nil, nil, err
	}
	return s.here(&message{
		Subject: received.Subject(), Sequence: place.Sequence.Stream, Time: place.Timestamp.UTC(), Header: received.Headers(), Data: received.Data(),
	}), place, nil
}

// about is what the server says of the consumer.
func (r *reading) about(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := r.st.s.look(ctx)
	defer cancel()
	return untilAnswered(ctx, r.st.s, r.consumer.Info)
}

// hear calls f for what comes to the stream, until f or the reading fails, or ctx ends. begun is called
// when the server knows that this process listens, with the sequence after which messages come; it may be
// nil.
func (st stream) hear(ctx context.Context, cfg jetstream.ConsumerConfig, begun func(after uint64), f func(*message) error) error {
	// The client asks for more when the next message is waited for, but not while its last
	// request is still being sent. If all that this asked for has come by then, nothing
	// comes again, heartbeats neither, and only their absence tells.
	const heartbeat = 2 * time.Second
	if err := st.s.Err(); err != nil {
		return err
	}
	r, err := st.read(ctx, cfg, jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer r.end()
	if begun != nil {
		begun(r.consumer.CachedInfo().Delivered.Stream)
	}
	for {
		m, _, err := r.next(ctx)
		if err == nil {
			err = f(m)
		}
		if err != nil {
			return err
		}
	}
}
