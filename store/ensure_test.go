package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/store"
)

// placing is servers that find no place for a stream at first.
type placing struct {
	jetstream.JetStream
	code  jetstream.ErrorCode
	until time.Time
}

func (p placing) CreateStream(context.Context, jetstream.StreamConfig) (jetstream.Stream, error) {
	if time.Now().Before(p.until) {
		return nil, &jetstream.APIError{Code: 400, ErrorCode: p.code, Description: "no suitable peers for placement, peer offline"}
	}
	return nil, nil
}

// TestServersThatHaveJustBegun are asked again to make a stream, where time may help.
func TestServersThatHaveJustBegun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code     jetstream.ErrorCode
		replicas int
		lasts    time.Duration
		want     bool // it is made
	}{
		"no peers yet":     {10005, 3, 3 * time.Second, true},
		"no leader yet":    {10008, 3, 3 * time.Second, true},
		"no room is known": {10023, 3, 3 * time.Second, true},
		"too few":          {10005, 3, time.Hour, false},
		"one server":       {10023, 1, time.Second, false},
		"another error":    {10026, 3, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				_, err := store.EnsureStream(t.Context(), placing{code: test.code, until: begun.Add(test.lasts)}, jetstream.StreamConfig{Name: "x", Replicas: test.replicas})
				if api, _ := errors.AsType[*jetstream.APIError](err); (err == nil) != test.want || !test.want && api.ErrorCode != test.code {
					t.Errorf("EnsureStream = %v", err)
				}
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
