package webhook_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestRecordedWhileItIsLetGo: what is attached to a session that was given up goes with the event
// of that, and the end of the session is recorded at that moment. Nobody has it handed out, so it
// is listed as dead.
func TestRecordedWhileItIsLetGo(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	b.close()
	b.prepare() // so that nothing is handed out
	opened, disk, err := b.store.OpenHanging(t.Context())
	testkit.NoError(t, err)
	t.Cleanup(disk.CloseConn)
	t.Cleanup(opened.Close)
	s := b.over(opened, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { s.Close(someGrace) })
	t.Cleanup(func() { disk.Hang(false) })
	sub, err := s.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: "https://example.com/"})
	testkit.NoError(t, err)
	givenUp := change("ses_a", session.Pending)
	givenUp.Type = event.TypeAbandoned
	b.changed(givenUp)
	disk.HangWhen(func(asked []byte) bool { return bytes.Contains(asked, []byte("PUB TABLE_subscriptions.")) })
	over := make(chan error)
	go func() { over <- s.HasHad(t.Context(), sub.ID, "ses_a") }()
	testkit.Eventually(t, "it is about to go", disk.Hangs)
	b.changed(change("ses_a", session.Succeeded))
	disk.Hang(false)
	testkit.NoError(t, testkit.Receive(t, "it has gone", over))
	testkit.NoError(t, b.Start())
	if d := b.ended(sub, delivery.Dead); d.Type != event.TypeSucceeded {
		t.Errorf("%s is dead; want the end", d.Type)
	}
}
