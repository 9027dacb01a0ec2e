package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"pollbridge/internal/period"
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
		return stream{}, s.failed("open "+cfg.Name, err)
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
	err = Explained(err)
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

const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20 // and one value
)

// batch does one round of a scan.
func (st stream) batch(ctx context.Context, match string, from uint64, n int) ([]*message, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	var comes atomic.Bool
	messages, err := untilAnswered(ctx, st.s, func(ctx context.Context) ([]*message, error) {
		if comes.Load() { // the same once more would only delay it
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return st.askForBatch(ctx, match, from, n, func() { comes.Store(true) })
	})
	return messages, st.s.failed("read", err)
}

// askForBatch asks for a batch, and calls comes when there is some of it.
func (st stream) askForBatch(ctx context.Context, match string, from uint64, n int, comes func()) (messages []*message, err error) {
	answers, err := jetstreamext.GetBatch(ctx, st.s.js, st.s.prefix.stream(st.id), n, jetstreamext.GetBatchSeq(max(1, from)),
		jetstreamext.GetBatchSubject(st.s.prefix.subject(match)), jetstreamext.GetBatchMaxBytes(maxBatchBytes))
	if err != nil {
		return nil, err
	}
	for m, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return messages, nil
		}
		if err != nil {
			return nil, err
		}
		comes()
		messages = append(messages, st.s.here(m))
	}
	return messages, ctx.Err() // the library takes that for the end
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
	var again atomic.Bool
	err = untilDone(ctx, st.s, func(ctx context.Context) error {
		what := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(st.s.prefix.subject(match))}
		if again.Swap(true) { // it may be done after the first is answered: what is written from then on stays
			newest, _, err := st.bounds(ctx)
			if err != nil {
				return err
			}
			what = append(what, jetstream.WithPurgeSequence(newest+1))
		}
		return st.js.Purge(ctx, what...)
	})
	return st.s.failed("erase", err)
}

// erase erases one message. It is no error if there is none any more.
func (st stream) erase(ctx context.Context, sequence uint64) error {
	ctx, cancel, err := st.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	err = untilDone(ctx, st.s, func(ctx context.Context) error { return st.js.DeleteMsg(ctx, sequence) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // for whatever reason
		switch _, gone := st.get(ctx, sequence); {
		case errors.Is(gone, ErrNotFound):
			return nil
		case gone == nil:
			st.s.conn.Report(err)
		}
	}
	return st.s.failed("erase", err)
}

// bounds returns the newest and the oldest sequence that a stream may hold. The
// newest grows only; it is 0 where nothing was ever written.
func (st stream) bounds(ctx context.Context) (newest, oldest uint64, err error) {
	state, err := st.state(ctx)
	return state.LastSeq, max(1, state.FirstSeq), err
}

// state is what the server that leads the stream says that it holds.
func (st stream) state(ctx context.Context) (jetstream.StreamState, error) {
	info, err := st.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, nil
}

// info is what the server that leads the stream says about it. Where none does, any that has a copy answers,
// which may not know of all that was acknowledged: the next leader is waited for.
func (st stream) info(ctx context.Context, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	ask := func(ctx context.Context) (*jetstream.StreamInfo, error) { return st.js.Info(ctx, options...) }
	info, err := ofLeader(ctx, func() (*jetstream.StreamInfo, error) {
		if len(options) > 0 { // a list of subjects, which may come in many parts and take long
			return ask(ctx)
		}
		return untilAnswered(ctx, st.s, ask)
	})
	return info, st.s.failed("read", err)
}

func ofLeader(ctx context.Context, ask func() (*jetstream.StreamInfo, error)) (*jetstream.StreamInfo, error) {
	const pause = 50 * time.Millisecond
	for {
		info, err := ask()
		if err != nil || info.Config.Replicas <= 1 || info.Cluster != nil && info.Cluster.Leader != "" {
			return info, err
		}
		if err := period.Pause(ctx, pause); err != nil {
			return nil, fmt.Errorf("no server leads the stream: %w", err)
		}
	}
}

// consumer is what the server knows of a consumer.
func (st stream) consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	return untilAnswered(ctx, st.s, func(ctx context.Context) (jetstream.Consumer, error) { return st.js.Consumer(ctx, name) })
}
