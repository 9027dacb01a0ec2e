package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// EnsureStream makes a stream, or gives one that is there the given configuration. Any number of
// processes may do that at the same time: who comes first makes it, and it is only changed where
// it differs, as an update of a stream that has no leader yet fails.
func EnsureStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := js.CreateStream(ctx, cfg) // the same again is no error
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return stream, err
	}
	// Another process may be about to make the same change.
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		if stream, err = js.UpdateStream(ctx, cfg); err == nil || ctx.Err() != nil {
			return stream, err
		}
		if _, refused := errors.AsType[*jetstream.APIError](err); refused && pause > time.Second {
			return stream, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// Explained adds to a server's error what can be done about it, where that is known.
func Explained(err error) error {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return err
	}
	advice, known := advices[api.ErrorCode]
	if !known {
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// advices is by the server's error codes.
var advices = map[jetstream.ErrorCode]string{
	10002: "the account's limits for JetStream have to be raised",
	10005: "there have to be as many servers with room as store.nats.replicas says",
	10023: "the servers need more room for JetStream (max_file_store, max_memory_store, or the disk)",
	10026: "the account's limit of consumers has to be raised",
	10027: "the account's limit of streams has to be raised",
	10028: "the servers need more memory for JetStream (max_memory_store)",
	10047: "the servers need more room for JetStream (max_file_store, or the disk)",
	10074: "the server is no member of a cluster: set store.nats.replicas to 1, or join three servers",
	10122: "the account's limit for the size of a stream has to be raised",
}
