package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// EnsureStream makes a stream, or gives one that is there the given configuration. Any number of
// processes may do that at the same time: who comes first makes it, and it is only changed where
// it differs, as an update of a stream that has no leader yet fails.
func EnsureStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := createStream(ctx, js, cfg) // the same again is no error
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return stream, err
	}
	if !cfg.AllowMsgTTL { // an import needs that, and it cannot be taken away
		if existing, err := js.Stream(ctx, cfg.Name); err == nil && existing.CachedInfo().Config.AllowMsgTTL {
			cfg.AllowMsgTTL = true
			return EnsureStream(ctx, js, cfg)
		}
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

const (
	// placing is for how long it is tried again to make a stream for which the servers find no place:
	// some seconds after they have begun, they know what the others of them have.
	placing    = 5 * time.Second
	placeAgain = 250 * time.Millisecond
)

// The server's codes of errors that may say no more than that.
const (
	noPeers     = 10005
	noLeader    = 10008
	noResources = 10023
)

// createStream makes a stream, once several servers know where.
func createStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	for begun := time.Now(); ; {
		stream, err := js.CreateStream(ctx, cfg)
		api, refused := errors.AsType[*jetstream.APIError](err)
		if !refused || cfg.Replicas < 2 || !slices.Contains([]jetstream.ErrorCode{noPeers, noLeader, noResources}, api.ErrorCode) || time.Since(begun) >= placing {
			return stream, err
		}
		if period.Pause(ctx, placeAgain) != nil {
			return nil, err
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
	10002:       "the account's limits for JetStream have to be raised",
	noPeers:     "there have to be as many servers with room as store.nats.replicas says",
	noResources: "the servers need more room for JetStream (max_file_store, max_memory_store, or the disk)",
	10026:       "the account's limit of consumers has to be raised",
	10027:       "the account's limit of streams has to be raised",
	10028:       "the servers need more memory for JetStream (max_memory_store)",
	10047:       "JetStream needs more room (max_file_store of the servers, max_file of the account, or the disk)",
	10074:       "the server is no member of a cluster: set store.nats.replicas to 1, or join three servers",
	10113:       "the account must not require a size limit of each stream (max_bytes_required)",
	10122:       "the account's limit for the size of a stream has to be raised",
}
