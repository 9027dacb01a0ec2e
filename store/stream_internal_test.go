package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestOfLeader: what a server says of its own copy while none leads is not believed.
func TestOfLeader(t *testing.T) {
	t.Parallel()
	info := func(replicas int, leader string, newest uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{
			Config: jetstream.StreamConfig{Replicas: replicas}, Cluster: &jetstream.ClusterInfo{Leader: leader},
			State: jetstream.StreamState{LastSeq: newest},
		}
	}
	alone := info(1, "", 7)
	alone.Cluster = nil
	for name, answers := range map[string][]*jetstream.StreamInfo{
		"one server": {alone},
		"a leader":   {info(3, "n1", 7)},
		"none yet":   {info(3, "", 5), info(3, "", 6), info(3, "n1", 7)},
	} {
		got, err := ofLeader(t.Context(), func() (*jetstream.StreamInfo, error) {
			next := answers[0]
			answers = answers[1:]
			return next, nil
		})
		if err != nil || got.State.LastSeq != 7 {
			t.Errorf("%s: %+v, %v; want the state at 7", name, got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := ofLeader(ctx, func() (*jetstream.StreamInfo, error) { return info(3, "", 5), nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody leads: %v; want an error", err)
	}
}
