package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is one message of a stream.
type message = jetstream.RawStreamMsg

// gone reports whether a message only says that its subject has no value any more.
func gone(m *message) bool {
	return m.Header.Get(operationHeader) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != ""
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
