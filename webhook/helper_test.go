package webhook_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// bridge is a service on a real store, which can be closed and opened again.
type bridge struct {
	*webhook.Service
	t        testing.TB
	dir      string
	sync     string // empty: interval
	cfg      webhook.Config
	options  webhook.Options
	store    *teststore.Store
	log      *testkit.LogBuffer
	registry *prometheus.Registry
}

// newBridge starts a service that may send to the receivers.
func newBridge(t testing.TB, change func(*bridge), receivers ...*testkit.Receiver) *bridge {
	t.Helper()
	b := &bridge{t: t, dir: t.TempDir(), cfg: webhook.DefaultConfig(), log: &testkit.LogBuffer{}}
	b.cfg.AllowHTTP = true
	b.cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	b.cfg.Retries = []time.Duration{20 * time.Millisecond, 20 * time.Millisecond}
	b.cfg.Timeout = 5 * time.Second
	for _, r := range receivers {
		b.cfg.AllowPorts = append(b.cfg.AllowPorts, r.Port())
	}
	b.options = webhook.Options{UserAgent: "pollbridge/test", Endpoints: []string{"smartid-sign", "mobile-sign"}}
	b.options.SetTimes(0, 50*time.Millisecond)
	if change != nil {
		change(b)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	return b
}

func (b *bridge) open() {
	b.t.Helper()
	b.prepare()
	if err := b.Start(); err != nil {
		b.t.Fatal(err)
	}
}

// prepare opens without starting.
func (b *bridge) prepare() {
	b.t.Helper()
	log := b.log.Logger(slog.LevelDebug)
	ctx, cancel := context.WithTimeout(b.t.Context(), testkit.Timeout)
	defer cancel()
	in := teststore.In(b.dir)
	in.Sync = cmp.Or(b.sync, in.Sync)
	var err error
	if b.store, err = teststore.Open(ctx, in, store.DefaultConfig(), log); err != nil {
		b.t.Fatal(err)
	}
	b.registry = prometheus.NewRegistry()
	b.Service = b.over(b.store.Store, b.registry, log)
}

// over makes a service on a store.
func (b *bridge) over(opened *store.Store, registry *prometheus.Registry, log *slog.Logger) *webhook.Service {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), testkit.Timeout)
	defer cancel()
	o := b.options
	o.Store, o.Log, o.Registry = opened, log, registry
	var err error
	if o.Events, err = event.Open(ctx, event.Options{Store: opened, History: cmp.Or(o.History, store.DefaultConfig().History), Log: log, Registry: registry}); err != nil {
		b.t.Fatal(err)
	}
	s, err := webhook.New(ctx, b.cfg, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// another is a service on the same store that delivers nothing, as in another process.
func (b *bridge) another() *webhook.Service {
	b.t.Helper()
	s := b.over(b.store.Store, prometheus.NewRegistry(), b.log.Logger(slog.LevelDebug))
	b.t.Cleanup(func() { s.Close(someGrace) })
	return s
}

// sharing is a service that delivers nothing, on a store that several processes share.
func (b *bridge) sharing(log *slog.Logger) *webhook.Service {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), testkit.Timeout)
	defer cancel()
	opened, err := b.store.OpenShared(ctx, log)
	testkit.NoError(b.t, err)
	b.t.Cleanup(opened.Close)
	s := b.over(opened, prometheus.NewRegistry(), log)
	b.t.Cleanup(func() { s.Close(someGrace) })
	return s
}

// someGrace is how long attempts have to end when a service is closed.
const someGrace = 2 * time.Second

func (b *bridge) close() {
	b.t.Helper()
	if b.Service == nil {
		return
	}
	b.Service.Close(someGrace)
	b.Service = nil
	if err := b.store.Close(); err != nil {
		b.t.Errorf("closing the store: %v", err)
	}
}

func (b *bridge) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

func (b *bridge) subscribe(n webhook.NewSubscription) webhook.Subscription {
	b.t.Helper()
	sub, err := b.Create(b.t.Context(), n)
	if err != nil {
		b.t.Fatalf("Create(%s) = %v", n.URL, err)
	}
	return sub
}

// metric returns the value of a metric, of that label if it is not empty.
func (b *bridge) metric(name, label string) float64 {
	b.t.Helper()
	if label != "" {
		name += "{" + label + "}"
	}
	return testkit.Metrics(b.t, b.registry)[name]
}

const token = "0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11"

func observed(status int, body string) *session.Observation {
	endpoints, _ := session.Dialect("marksign")
	answer, err := endpoints[0].Answer.Read(status, []byte(body))
	if err != nil {
		panic(err)
	}
	return &session.Observation{
		At: time.Now(), Answer: answer, Content: &session.Content{Status: status, Body: []byte(body)},
	}
}

const document = "JVBERi0xLjcgc2VjcmV0IGRvY3VtZW50"

var answers = map[session.State]string{
	session.Pending:   `{"status":"waiting"}`,
	session.Succeeded: `{"status":"ok","file":{"name":"a.pdf","digest":"abc","content":"` + document + `"}}`,
	session.Refused:   `{"status":"error","message":"User refused <b>&","error_code":40020}`,
	session.NotFound:  `{"status":"error","error_code":40402}`,
}

// change is what package watch says when a session is seen in a state.
func change(sessionID string, state session.State) event.Change {
	eventType := event.TypeOf(state)
	return event.Change{
		Subject: event.Subject{Session: sessionID, Endpoint: "smartid-sign", Account: "acc_x"},
		Token:   token, Locale: "en", Type: eventType, State: state,
		Observation: observed(200, answers[state]), At: time.Now(),
	}
}

func (b *bridge) changed(c event.Change) bool {
	b.t.Helper()
	published, err := b.Changed(b.t.Context(), c)
	if err != nil {
		b.t.Fatalf("Changed(%s) = %v", c.Type, err)
	}
	return published
}

// deliveries returns the deliveries that match, the one that changed last first.
func (b *bridge) deliveriesOf(f delivery.Filter) []delivery.Delivery {
	b.t.Helper()
	var all []delivery.Delivery
	for next := ""; ; {
		page, after, err := b.Deliveries(b.t.Context(), f, next, 100)
		if err != nil {
			b.t.Fatalf("Deliveries(%+v) = %v", f, err)
		}
		all = append(all, page...)
		if next = after; next == "" {
			return all
		}
	}
}

// stats are the figures that memory has, also where the store cannot be asked.
func (b *bridge) stats() webhook.Stats {
	st, _ := b.Stats(b.t.Context())
	return st
}

// comeBack adds the item of a delivery again, as after a crash before it was done. The
// queue takes it for another one.
func (b *bridge) comeBack(d delivery.Delivery) {
	b.t.Helper()
	table, err := b.store.Bucket(b.t.Context(), store.BucketConfig{Name: "deliveries", MaxAge: store.DefaultConfig().History})
	testkit.NoError(b.t, err)
	record, err := table.Get(b.t.Context(), d.Subscription+"."+d.Session+"."+d.ID)
	testkit.NoError(b.t, err)
	var stored struct {
		Position uint64 `json:"place"`
	}
	testkit.NoError(b.t, json.Unmarshal(record.Value, &stored))
	queue, err := b.store.Queue(b.t.Context(), store.QueueConfig{Name: "deliveries", AckWait: 2 * time.Minute})
	testkit.NoError(b.t, err)
	item, err := json.Marshal(map[string]any{"s": d.Subscription, "k": d.Session, "e": d.Event, "p": stored.Position})
	testkit.NoError(b.t, err)
	testkit.NoError(b.t, queue.Add(b.t.Context(), d.Subscription, d.ID+"-back", item))
}

// ended waits until a subscription's only delivery is in a state.
func (b *bridge) ended(sub webhook.Subscription, state string) delivery.Delivery {
	b.t.Helper()
	var d []delivery.Delivery
	testkit.Eventually(b.t, "a delivery that is "+state, func() bool {
		d = b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: state})
		return len(d) > 0
	})
	return d[0]
}

// finals is where whole final answers come from.
func finals(known map[string]*session.Observation) delivery.AnswerFunc {
	return func(_ context.Context, id string, _ time.Time) (*session.Observation, error) {
		if o := known[id]; o != nil {
			return o, nil
		}
		return nil, store.ErrNotFound
	}
}
