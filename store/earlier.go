package store

import (
	"context"
	"errors"
	"math"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// TakeOverQueue calls f for each item of a queue that an earlier version had, in their order,
// and then removes that. It is no error if there is none. After an error of f all is left.
func (s *Store) TakeOverQueue(ctx context.Context, name string, f func(ctx context.Context, name string, value []byte) error) error {
	id := "QUEUE_" + name
	ctx, cancel := period.Either(ctx, s.ctx)
	defer cancel()
	js, err := s.js.Stream(ctx, id)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return s.failed("read", err)
	}
	st := stream{s: s, js: js, id: id}
	var failed error
	// A work queue refuses a consumer in order, through which this would be faster.
	err = st.scan(ctx, id+".do.>", 1, math.MaxInt, func(m *message) bool {
		subject, item, _ := strings.Cut(strings.TrimPrefix(m.Subject, id+".do."), ".")
		value, err := s.keys.decrypt(nil, placeOf("queue", name, subject, item), m.Data)
		if err != nil {
			s.log.Error("queue item cannot be decrypted, removing it", "queue", name, "name", item, "error", err)
			return true
		}
		failed = f(ctx, item, value)
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return s.failed("remove a queue", s.js.DeleteStream(ctx, id))
}
