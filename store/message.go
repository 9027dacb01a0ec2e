package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is one message of a stream.
type message struct {
	subject  string
	sequence uint64
	at       time.Time
	header   nats.Header
	data     []byte
	left     int // how many more match, in a scan
}

// gone reports whether the message only says that its subject has no value any more.
func (m *message) gone() bool {
	return m.header.Get(operationHeader) != "" || m.header.Get(jetstream.MarkerReasonHeader) != ""
}

const (
	operationHeader = "KV-Operation"
	operationPurge  = "PURGE" // the engine leaves no marker for a marker
)

// openStream makes a stream, or gives one that is there a changed configuration.
func (s *Store) openStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	cfg.Storage, cfg.Replicas, cfg.AllowDirect = jetstream.FileStorage, 1, true
	stream, err := s.js.CreateOrUpdateStream(ctx, cfg)
	if err != nil {
		return nil, s.failed("open "+cfg.Name, err)
	}
	s.tellLoss(ctx, cfg.Name, stream)
	return stream, nil
}

// publish writes a message durably and returns its sequence.
func (s *Store) publish(ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt) (uint64, error) {
	if len(m.Data) > maxValue+sealOverhead {
		return 0, ErrTooLarge
	}
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, m, options...)
	if err != nil {
		return 0, s.failed("write", err)
	}
	return ack.Sequence, nil
}

// failed says what went wrong. The engine's own failure counts more than how it
// showed.
func (s *Store) failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	if broken := s.Err(); broken != nil {
		return broken
	}
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		return ErrConflict
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	}
	return fmt.Errorf("store: %s: %w", operation, err)
}

// getRequest asks for messages of a stream.
type getRequest struct {
	Sequence uint64 `json:"seq,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
	NextFor  string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

func getSubject(stream string) string { return "$JS.API.DIRECT.GET." + stream }

// get returns one message, or ErrNotFound.
func (s *Store) get(ctx context.Context, stream string, r getRequest) (*message, error) {
	ctx, cancel := s.look(ctx)
	defer cancel()
	request, _ := json.Marshal(r)
	answer, err := s.nc.RequestWithContext(ctx, getSubject(stream), request)
	if err != nil {
		return nil, s.failed("read", err)
	}
	m, err := s.read(answer)
	if err == nil && m == nil {
		err = ErrNotFound
	}
	return m, err
}

// last returns the newest message about a subject, or ErrNotFound.
func (s *Store) last(ctx context.Context, stream, subject string) (*message, error) {
	return s.get(ctx, stream, getRequest{LastFor: subject})
}

// read reads an answer of the engine. There is no message in the one that says that
// there are no more.
func (s *Store) read(answer *nats.Msg) (*message, error) {
	const notFound, end = "404", "204"
	switch status := answer.Header.Get("Status"); status {
	case "":
	case notFound, end:
		return nil, nil
	default:
		return nil, s.failed("read", fmt.Errorf("the engine answered %s %s", status, answer.Header.Get("Description")))
	}
	sequence, err := strconv.ParseUint(answer.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, s.failed("read", err)
	}
	at, err := time.Parse(time.RFC3339Nano, answer.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, s.failed("read", err)
	}
	left, _ := strconv.Atoi(answer.Header.Get("Nats-Num-Pending"))
	return &message{
		subject: answer.Header.Get(jetstream.SubjectHeader), sequence: sequence, at: at, left: left,
		header: answer.Header, data: answer.Data,
	}, nil
}

// scan calls f for each message that matches (all of them if match is empty), from a
// sequence on and in order, until f returns false or there are no more, but for no more
// than limit of them.
//
// For each batch the engine counts how many more match: a filter that lets many through
// costs much.
func (s *Store) scan(ctx context.Context, stream, match string, from uint64, limit int, f func(*message) bool) error {
	for limit > 0 {
		messages, err := s.batch(ctx, stream, match, from, min(limit, maxBatch))
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
func (s *Store) batch(ctx context.Context, stream, match string, from uint64, n int) (messages []*message, err error) {
	ctx, cancel := s.look(ctx)
	defer cancel()
	inbox := s.nc.NewInbox()
	answers, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, s.failed("read", err)
	}
	defer answers.Unsubscribe()
	answers.SetPendingLimits(-1, -1) // the request says how much may come
	request, _ := json.Marshal(getRequest{Sequence: max(1, from), NextFor: match, Batch: n, MaxBytes: maxBatchBytes})
	if err := s.nc.PublishRequest(getSubject(stream), inbox, request); err != nil {
		return nil, s.failed("read", err)
	}
	for {
		answer, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, s.failed("read", err)
		}
		m, err := s.read(answer)
		if err != nil || m == nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

// count returns how many messages match.
func (s *Store) count(ctx context.Context, stream, match string) (int, error) {
	n := 0
	err := s.scan(ctx, stream, match, 1, 1, func(m *message) bool {
		n = 1 + m.left
		return false
	})
	return n, err
}

// purge erases all messages that match.
func (s *Store) purge(ctx context.Context, stream jetstream.Stream, match string) error {
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return s.failed("erase", stream.Purge(ctx, jetstream.WithPurgeSubject(match)))
}

// erase erases one message. It is no error if there is none any more.
func (s *Store) erase(ctx context.Context, stream jetstream.Stream, id string, sequence uint64) error {
	err := stream.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // for whatever reason
		if _, gone := s.get(ctx, id, getRequest{Sequence: sequence}); errors.Is(gone, ErrNotFound) {
			return nil
		}
	}
	return err
}

// bounds returns the newest and the oldest sequence that a stream may hold. The
// newest grows only; it is 0 where nothing was ever written.
func (s *Store) bounds(ctx context.Context, stream jetstream.Stream) (newest, oldest uint64, err error) {
	ctx, cancel := s.look(ctx)
	defer cancel()
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, 0, s.failed("read", err)
	}
	return info.State.LastSeq, max(1, info.State.FirstSeq), nil
}
