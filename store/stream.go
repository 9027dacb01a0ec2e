package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// stream is where the server keeps messages.
type stream struct {
	s      *Store
	js     jetstream.Stream
	id     string
	writes *writes
}

// maxValue is the size of the largest single value. What is around it fits into what the
// embedded server takes as one message; others may take less.
const maxValue = 7 << 20

// aroundValue is more than what is around a value in a message.
const aroundValue = 64 << 10

// message is one message of a stream.
type message = jetstream.RawStreamMsg

// gone reports whether a message only says that its subject has no value any more.
func gone(m *message) bool {
	return m.Header.Get(operationHeader) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != ""
}

const (
	operationHeader = "KV-Operation"
	operationPurge  = "PURGE" // the server leaves no marker for a marker
)

// openStream makes a stream, or gives one that is there a changed configuration. collecting is
// how long unhurried writes may wait for others.
func (s *Store) openStream(ctx context.Context, cfg jetstream.StreamConfig, collecting time.Duration) (stream, error) {
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return stream{}, err
	}
	defer cancel()
	id := cfg.Name
	cfg.Name, cfg.Subjects = s.prefix.stream(id), s.prefix.subjects(cfg.Subjects)
	cfg.Storage, cfg.Replicas, cfg.AllowDirect, cfg.AllowAtomicPublish = jetstream.FileStorage, s.replicas, true, true
	js, err := EnsureStream(ctx, s.js, cfg)
	if err != nil {
		return stream{}, s.failed("open "+cfg.Name, Explained(err))
	}
	writing, _ := s.writing.LoadOrStore(id, newWrites(s, collecting))
	return stream{s, js, id, writing.(*writes)}, nil
}

// publish writes a message durably and returns its sequence.
func (s *Store) publish(ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt) (uint64, error) {
	if len(m.Data) > s.largest+sealOverhead {
		return 0, ErrTooLarge
	}
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, s.prefix.message(m), options...)
	if err != nil {
		return 0, s.failed("write", err)
	}
	return ack.Sequence, nil
}

// expecting has a message written only if the newest one of its subject has that sequence (0:
// there is none), else with ErrConflict.
func expecting(m *nats.Msg, sequence uint64) *nats.Msg {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10))
	return m
}

// failed says what went wrong. The server's own failure counts more than how it
// showed.
func (s *Store) failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError // its codes are those of HTTP: from 500 on it is the server's fault
	if errors.As(err, &api) && api.Code >= http.StatusInternalServerError {
		s.conn.Report(fmt.Errorf("%s: %w", operation, err))
	}
	if broken := s.Err(); broken != nil {
		return broken
	}
	switch {
	case api != nil && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		return ErrConflict
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	case errors.Is(err, nats.ErrTimeout): // a deadline of the client's own
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return fmt.Errorf("store: %s: %w", operation, err)
}

// subject is that of messages about a key, and key its inverse.
func (st stream) subject(key string) string { return st.id + "." + key }
func (st stream) key(m *message) string     { return m.Subject[len(st.id)+1:] }

// scan calls f for each message that matches (all of them if match is empty), from a
// sequence on and in order, until f returns false or there are no more, but for no more
// than limit of them.
//
// For each batch the server counts how many more match: a filter that lets many through
// costs much.
func (st stream) scan(ctx context.Context, match string, from uint64, limit int, f func(*message) bool) error {
	for limit > 0 {
		messages, err := st.batch(ctx, match, from, min(limit, maxBatch))
		if err != nil {
			return err
		}
		for _, m := range messages {
			if from = m.Sequence + 1; !f(m) {
				return nil
			}
		}
		if len(messages) == 0 || left(messages[len(messages)-1]) == 0 {
			return nil
		}
		limit -= len(messages)
	}
	return nil
}

// consume calls f with the messages that a consumer with that configuration is handed, some at a
// time, up to the last one that is there; what was acknowledged before the call is among them. Of
// very many messages, scan is much slower.
func (st stream) consume(ctx context.Context, cfg jetstream.OrderedConsumerConfig, f func([]*message)) error {
	ctx, cancel := either(ctx, st.s.ctx)
	defer cancel()
	end, err := st.endOf(ctx, cfg)
	if err != nil {
		return err
	}
	consumer, err := st.consumerFor(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.leave(consumer)
	if info, err := st.about(ctx, consumer); err != nil || info.NumPending == 0 && end == 0 {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(4096), jetstream.PullHeartbeat(readHeartbeat))
	if err != nil {
		return st.s.failed("read", err)
	}
	defer messages.Stop()
	last := uint64(0)
	for left := uint64(1); left > 0; {
		var some []*message
		some, left, err = st.s.nextOf(ctx, messages)
		switch {
		case err != nil:
			return st.s.failed("read", err)
		case len(some) == 0: // what there was may have gone, or is on its way
			info, err := st.about(ctx, consumer)
			if err != nil {
				return err
			}
			// Of a consumer that was handed nothing the server says where it looks next.
			if left = info.NumPending; info.Delivered.Consumer > 0 && info.Delivered.Stream > last {
				left++
			}
		default:
			last = some[len(some)-1].Sequence
			f(some)
		}
		if left == 0 && last < end { // more is to come, unless what was the last one has gone meanwhile
			now, err := st.endOf(ctx, cfg)
			if err != nil {
				return err
			}
			if end = min(end, now); last < end {
				left = 1
			}
		}
	}
	return nil
}

// endOf is the sequence of the newest message that a consumer has to be handed, or 0. Where
// several servers have copies of the stream, the consumer is at any of them, which may not have
// all yet.
func (st stream) endOf(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (end uint64, err error) {
	if !st.copied() {
		return 0, nil
	}
	matches := cfg.FilterSubjects
	if len(matches) == 0 {
		matches = []string{st.subject(">")}
	}
	for _, match := range matches {
		m, err := st.last(ctx, match)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return 0, err
		case cfg.OptStartTime == nil || !m.Time.Before(*cfg.OptStartTime):
			end = max(end, m.Sequence)
		}
	}
	return end, nil
}

// consumerFor makes a consumer for reading. What the server is asked while it is started anew it
// never answers, so this and about are bounded.
func (st stream) consumerFor(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	consumer, err := st.ordered(ctx, cfg)
	return consumer, st.s.failed("read", err)
}

// idleAfter is after which time without requests the server removes a consumer of whoever was killed. Of one
// stream it has no more than 1,000 by default.
const idleAfter = 2 * time.Minute

func (st stream) ordered(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	cfg.FilterSubjects, cfg.InactiveThreshold = st.s.prefix.subjects(cfg.FilterSubjects), idleAfter
	return st.js.OrderedConsumer(ctx, cfg)
}

// leave has the server remove an ordered consumer, which the client does not do. It
// waits for nothing.
func (st stream) leave(consumer jetstream.Consumer) {
	if info := consumer.CachedInfo(); info != nil {
		_ = st.s.conn.Conn().Publish(jetstream.DefaultAPIPrefix+"CONSUMER.DELETE."+info.Stream+"."+info.Name, nil)
	}
}

// about is what the server says of a consumer.
func (st stream) about(ctx context.Context, consumer jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	info, err := consumer.Info(ctx)
	return info, st.s.failed("read", err)
}

// readHeartbeat is how often the server says that there is nothing yet. Where it says nothing for
// twice as long, the client takes its request for lost and asks again; but only a call that waits
// for so long notices.
const readHeartbeat = time.Second

// nextOf waits for some messages, but not for long. left is how many more there are.
func (s *Store) nextOf(ctx context.Context, messages jetstream.MessagesContext) (some []*message, left uint64, err error) {
	const timeout = 3 * readHeartbeat
	bounded, cancel := context.WithTimeout(ctx, timeout) // one for each message would cost as much as the message
	defer cancel()
	size := 0
	for left = 1; left > 0 && len(some) < maxBatch && size < maxBatchBytes; {
		received, err := messages.Next(jetstream.NextContext(bounded))
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return some, left, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var m *message
		if m, left, err = s.receivedMessage(received); err != nil {
			return nil, 0, err
		}
		some, size = append(some, m), size+len(m.Data)
	}
	return some, left, nil
}

const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20 // and one value
)

// batch does one round of a scan.
func (st stream) batch(ctx context.Context, match string, from uint64, n int) (messages []*message, err error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	answers, err := jetstreamext.GetBatch(ctx, st.s.js, st.s.prefix.stream(st.id), n, jetstreamext.GetBatchSeq(max(1, from)),
		jetstreamext.GetBatchSubject(st.s.prefix.subject(match)), jetstreamext.GetBatchMaxBytes(maxBatchBytes))
	if err != nil {
		return nil, st.s.failed("read", err)
	}
	for m, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return messages, nil
		}
		if err != nil {
			return nil, st.s.failed("read", err)
		}
		messages = append(messages, st.s.here(m))
	}
	return messages, st.s.failed("read", ctx.Err()) // the library takes that for the end
}

// left is how many more match than a message of a scan and those before it.
func left(m *message) int {
	n, _ := strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
	return n
}

// count returns how many messages match, from a sequence on, all if match is empty. Mostly there are
// none, which a message that is not there tells for the least.
func (st stream) count(ctx context.Context, match string, from uint64) (int, error) {
	if _, err := st.nextListed(ctx, from, cmp.Or(match, st.subject(">"))); errors.Is(err, ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	n := 0
	err := st.scan(ctx, match, from, 1, func(m *message) bool {
		n = 1 + left(m)
		return false
	})
	return n, err
}

// purge erases all messages that match.
func (st stream) purge(ctx context.Context, match string) error {
	ctx, cancel, err := st.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return st.s.failed("erase", st.js.Purge(ctx, jetstream.WithPurgeSubject(st.s.prefix.subject(match))))
}

// erase erases one message. It is no error if there is none any more.
func (st stream) erase(ctx context.Context, sequence uint64) error {
	ctx, cancel, err := st.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	err = st.js.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // for whatever reason
		if _, gone := st.get(ctx, sequence); errors.Is(gone, ErrNotFound) {
			return nil
		}
		st.s.conn.Report(err)
	}
	return st.s.failed("erase", err)
}

// bounds returns the newest and the oldest sequence that a stream may hold. The
// newest grows only; it is 0 where nothing was ever written.
func (st stream) bounds(ctx context.Context) (newest, oldest uint64, err error) {
	state, err := st.state(ctx)
	return state.LastSeq, max(1, state.FirstSeq), err
}

// state is what the server says that the stream holds.
func (st stream) state(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	info, err := st.js.Info(ctx)
	if err != nil {
		return jetstream.StreamState{}, st.s.failed("read", err)
	}
	return info.State, nil
}

// hear makes a consumer of what comes to the stream, in order, and waits for that no longer than
// for any other call.
func (st stream) hear(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	ctx, cancel, err := st.s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	return st.ordered(ctx, cfg)
}

// eachMessage calls f for what a consumer hands out until f fails or ctx ends. Then that is over.
func (st stream) eachMessage(ctx context.Context, consumer jetstream.Consumer, f func(jetstream.Msg) error) error {
	defer st.leave(consumer)
	// The client asks for more when the next message is waited for, but not while its last
	// request is still being sent. If all that this asked for has come by then, nothing
	// comes again, heartbeats neither, and only their absence tells.
	const heartbeat = 2 * time.Second
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err == nil {
			err = f(m)
		}
		if err != nil {
			return err
		}
	}
}

// receivedMessage is what a consumer handed out as a message of its stream. left is how many
// more there are.
func (s *Store) receivedMessage(received jetstream.Msg) (m *message, left uint64, err error) {
	place, err := received.Metadata()
	if err != nil {
		return nil, 0, err
	}
	return s.here(&message{
		Subject: received.Subject(), Sequence: place.Sequence.Stream, Time: place.Timestamp.UTC(), Header: received.Headers(), Data: received.Data(),
	}), place.NumPending, nil
}
