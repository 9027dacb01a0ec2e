package delivery_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/webhook/delivery"
)

// TestRecordedLate: a record that is written after nobody waits for it any more is counted as
// one that was written in time.
func TestRecordedLate(t *testing.T) {
	t.Parallel()
	for result, status := range map[string]int{delivery.Delivered: 200, "retried": 500} {
		t.Run(result, func(t *testing.T) {
			t.Parallel()
			log := &testkit.LogBuffer{}
			answer := make(chan struct{})
			r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
				<-answer
				w.WriteHeader(status)
			})
			events, disk, registry := overHanging(t, r, log.Logger(slog.LevelInfo))
			_, err := events.Record(t.Context(), event.Change{Subject: event.Subject{Session: "ses_a"}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now()})
			testkit.NoError(t, err)
			r.Wait(t, 1)
			disk.Hang(true)
			close(answer)
			testkit.Eventually(t, "nobody waits for the record", func() bool { return strings.Contains(log.String(), "cannot process a delivery") })
			disk.Hang(false)
			testkit.Eventually(t, "it is counted", func() bool {
				return testkit.Metrics(t, registry)["pollbridge_deliveries_total{"+result+"}"] == 1
			})
			if r.Count() != 1 {
				t.Errorf("there were %d webhooks, want 1", r.Count())
			}
		})
	}
}

// TestCountedOnce: an attempt whose record was written, and after which the disk hung, is counted with that
// and not again.
func TestCountedOnce(t *testing.T) {
	t.Parallel()
	log := &testkit.LogBuffer{}
	r := testkit.NewReceiver(t, nil)
	events, disk, registry := overHanging(t, r, log.Logger(slog.LevelInfo))
	var written atomic.Bool
	disk.HangWhen(func(asked []byte) bool {
		return written.Swap(written.Load() || bytes.Contains(asked, []byte("PUB TABLE_deliveries.")))
	})
	_, err := events.Record(t.Context(), event.Change{Subject: event.Subject{Session: "ses_a"}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now()})
	testkit.NoError(t, err)
	testkit.Eventually(t, "nobody waits for the store", func() bool { return strings.Contains(log.String(), "cannot process a delivery") })
	disk.Hang(false)
	testkit.Eventually(t, "it is over", func() bool { return testkit.Metrics(t, registry)["pollbridge_delivery_backlog"] == 0 })
	if n := testkit.Metrics(t, registry)["pollbridge_deliveries_total{delivered}"]; n != 1 || r.Count() != 1 {
		t.Errorf("%v deliveries are counted of %d webhooks", n, r.Count())
	}
}

// overHanging is a service with one subscription, on a store whose disk may hang.
func overHanging(t *testing.T, r *testkit.Receiver, log *slog.Logger) (*event.Log, *teststore.Hanging, *prometheus.Registry) {
	t.Helper()
	opened, disk, err := openStore(t).OpenHanging(t.Context())
	testkit.NoError(t, err)
	t.Cleanup(disk.CloseConn)
	t.Cleanup(opened.Close)
	registry := prometheus.NewRegistry()
	events := openEvents(t, opened, log)
	cfg, sub := sendingTo(r)
	cfg.Retries = []time.Duration{time.Hour}
	start(t, cfg, delivery.Options{
		Store: opened, Events: events, Subscriptions: everyone{sub, true}, Log: log, Registry: registry, History: 2 * time.Hour, Quiet: time.Hour,
	})
	t.Cleanup(func() { disk.Hang(false) })
	return events, disk, registry
}
