package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stream is where the engine keeps messages.
type stream struct {
	s  *Store
	js jetstream.Stream
	id string
}

// openStream makes a stream, or gives one that is there a changed configuration.
func (s *Store) openStream(ctx context.Context, cfg jetstream.StreamConfig) (stream, error) {
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return stream{}, err
	}
	defer cancel()
	cfg.Storage, cfg.Replicas, cfg.AllowDirect = jetstream.FileStorage, 1, true
	js, err := s.js.CreateOrUpdateStream(ctx, cfg)
	if err != nil {
		return stream{}, s.failed("open "+cfg.Name, err)
	}
	s.tellLoss(ctx, cfg.Name, js)
	return stream{s, js, cfg.Name}, nil
}

// getRequest asks for messages of a stream.
type getRequest struct {
	Sequence uint64 `json:"seq,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
	NextFor  string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// get returns one message, or ErrNotFound.
func (st stream) get(ctx context.Context, r getRequest) (*message, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	request, _ := json.Marshal(r)
	answer, err := st.s.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+st.id, request)
	if err != nil {
		return nil, st.s.failed("read", err)
	}
	m, err := st.s.read(answer)
	if err == nil && m == nil {
		err = ErrNotFound
	}
	return m, err
}

// last returns the newest message about a subject, or ErrNotFound.
func (st stream) last(ctx context.Context, subject string) (*message, error) {
	return st.get(ctx, getRequest{LastFor: subject})
}

// scan calls f for each message that matches (all of them if match is empty), from a
// sequence on and in order, until f returns false or there are no more, but for no more
// than limit of them.
//
// For each batch the engine counts how many more match: a filter that lets many through
// costs much.
func (st stream) scan(ctx context.Context, match string, from uint64, limit int, f func(*message) bool) error {
	for limit > 0 {
		messages, err := st.batch(ctx, match, from, min(limit, maxBatch))
		if err != nil {
			return err
		}
		for _, m := range messages {
			if from = m.sequence + 1; !f(m) {
				return nil
			}
		}
		if len(messages) == 0 || messages[len(messages)-1].left == 0 {
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
func (st stream) batch(ctx context.Context, match string, from uint64, n int) (messages []*message, err error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	inbox := st.s.nc.NewInbox()
	answers, err := st.s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, st.s.failed("read", err)
	}
	defer answers.Unsubscribe()
	answers.SetPendingLimits(-1, -1) // the request says how much may come
	request, _ := json.Marshal(getRequest{Sequence: max(1, from), NextFor: match, Batch: n, MaxBytes: maxBatchBytes})
	if err := st.s.nc.PublishRequest("$JS.API.DIRECT.GET."+st.id, inbox, request); err != nil {
		return nil, st.s.failed("read", err)
	}
	for {
		answer, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, st.s.failed("read", err)
		}
		m, err := st.s.read(answer)
		if err != nil || m == nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

// count returns how many messages match.
func (st stream) count(ctx context.Context, match string) (int, error) {
	n := 0
	err := st.scan(ctx, match, 1, 1, func(m *message) bool {
		n = 1 + m.left
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
	return st.s.failed("erase", st.js.Purge(ctx, jetstream.WithPurgeSubject(match)))
}

// erase erases one message. It is no error if there is none any more.
func (st stream) erase(ctx context.Context, sequence uint64) error {
	err := st.js.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // for whatever reason
		if _, gone := st.get(ctx, getRequest{Sequence: sequence}); errors.Is(gone, ErrNotFound) {
			return nil
		}
	}
	return err
}

// bounds returns the newest and the oldest sequence that a stream may hold. The
// newest grows only; it is 0 where nothing was ever written.
func (st stream) bounds(ctx context.Context) (newest, oldest uint64, err error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	info, err := st.js.Info(ctx)
	if err != nil {
		return 0, 0, st.s.failed("read", err)
	}
	return info.State.LastSeq, max(1, info.State.FirstSeq), nil
}

// eachMessage calls f for what a consumer hands out until f fails or ctx ends.
func eachMessage(ctx context.Context, consumer jetstream.Consumer, f func(jetstream.Msg) error, options ...jetstream.PullMessagesOpt) error {
	// The client asks for more when the next message is waited for, but not while its last
	// request is still being sent. If all that this asked for has come by then, nothing
	// comes again, heartbeats neither, and only their absence tells.
	const heartbeat = 2 * time.Second
	messages, err := consumer.Messages(append(options, jetstream.PullHeartbeat(heartbeat))...)
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
