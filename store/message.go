package store

import (
	"context"
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
