package webhook_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/store"
	"pollbridge/webhook"
)

// stuck is a log that takes no errors for a while.
type stuck struct {
	slog.Handler
	sticks chan struct{} // has an element when it was told of one
	goesOn chan struct{} // closed in the end
}

func (s stuck) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		s.sticks <- struct{}{}
		<-s.goesOn
	}
	return nil
}

// TestErasedRightAfterItWasAttached by another process, of which memory has not heard yet.
func TestErasedRightAfterItWasAttached(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	log := stuck{slog.NewTextHandler(io.Discard, nil), make(chan struct{}, 1), make(chan struct{})}
	other := b.sharing(slog.New(log))
	records, err := b.store.Bucket(t.Context(), store.BucketConfig{Name: "subscriptions"})
	testkit.NoError(t, err)
	_, err = records.Put(t.Context(), "sub_unreadable", []byte("?"), 0)
	testkit.NoError(t, err)
	testkit.Receive(t, "the other one is stuck with what it heard of", log.sticks)
	sub := b.attach("ses_a", webhook.AttachOptions{URL: "https://example.com/"})
	erased := make(chan error)
	go func() { erased <- other.EraseSession(t.Context(), "ses_a") }()
	b.stats()
	close(log.goesOn)
	testkit.NoError(t, testkit.Receive(t, "the session is erased", erased))
	if _, err := b.RotateSecret(t.Context(), sub.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("RotateSecret of what was attached: %v; want ErrNotFound", err)
	}
}
