package delivery_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// history is for how long events are stored.
const history = time.Hour

// openStore opens an empty store. It is closed after the test.
func openStore(t *testing.T) *teststore.Store {
	t.Helper()
	opened, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	t.Cleanup(func() { opened.Close() })
	return opened
}

func openEvents(t *testing.T, s *store.Store, log *slog.Logger) *event.Log {
	t.Helper()
	events, err := event.Open(t.Context(), event.Options{Store: s, History: history, Log: log, Registry: prometheus.NewRegistry()})
	testkit.NoError(t, err)
	return events
}

// sendingTo is a configuration that may send to a receiver, and a subscription that does.
func sendingTo(r *testkit.Receiver) (delivery.Config, *delivery.Subscription) {
	cfg := delivery.DefaultConfig()
	cfg.AllowHTTP, cfg.AllowPorts, cfg.AllowNetworks = true, []int{r.Port()}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return cfg, &delivery.Subscription{ID: "sub_a", Consumer: "sub_a", URL: r.URL, Keys: func(time.Time) []string { return nil }}
}

// someGrace is how long attempts have to end when a service is closed.
const someGrace = 2 * time.Second

// start starts a service. It is closed after the test.
func start(t *testing.T, cfg delivery.Config, o delivery.Options) *delivery.Service {
	t.Helper()
	s, err := delivery.New(t.Context(), cfg, o)
	testkit.NoError(t, err)
	t.Cleanup(func() { s.Close(someGrace) })
	testkit.NoError(t, s.Start())
	return s
}
