package main

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pollbridge/config"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/simulator"
	"pollbridge/store"
	"pollbridge/store/engine"
	"pollbridge/webhook"
)

// TestStoreHangs for longer than anything waits for it, though it is neither full nor gone:
// polls are answered from the upstream, at once when that is known, readyz tells, and what was
// answered is stored and told of when the store goes on.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.FileSize = 8 << 10 })
	r := newWebhookReceiver(t, nil)
	cfg := config.Default()
	cfg.Proxy.Listen, cfg.Admin.Listen, cfg.Admin.Keys = "127.0.0.1:0", "127.0.0.1:0", []string{managementKey}
	cfg.Upstream.URL, cfg.Store.Engine = upstream, engine.Config{Dir: t.TempDir(), Sync: engine.SyncInterval}
	cfg.Cache.PendingTTL, cfg.Watch.Interval = 200*time.Millisecond, 200*time.Millisecond
	cfg.Webhook.AllowHTTP, cfg.Webhook.AllowPorts = true, []int{r.Port()}
	cfg.Webhook.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Webhook.Retries = []time.Duration{time.Second, time.Second, time.Second}
	var disk *teststore.Hanging
	b, err := newBridge(t.Context(), setup{cfg: cfg, log: slog.New(slog.DiscardHandler), through: func(c store.Connection) (store.Connection, error) {
		e := c.(*engine.Engine)
		var err error
		disk, err = teststore.Through(e)
		return disk, err
	}})
	testkit.NoError(t, err)
	t.Cleanup(disk.CloseConn)
	testkit.NoError(t, b.start())
	t.Cleanup(b.stop)
	t.Cleanup(func() { disk.Hang(false) })
	public, private := "http://"+b.publicListener.Addr().String(), "http://"+b.privateListener.Addr().String()
	sub, err := b.webhooks.Create(t.Context(), webhook.NewSubscription{URL: r.URL, IncludeFile: true})
	testkit.NoError(t, err)
	r.setSecret(sub.Secret)
	const slowly, soon = 8 * time.Second, 2 * time.Second
	poll := func(token, want string, within time.Duration) {
		t.Helper()
		began := time.Now()
		status, text := ask("POST", public+"/smartid/sign/status/"+token+".json", someBody)
		if took := time.Since(began); status != 200 || !strings.Contains(text, want) || took > within {
			t.Errorf("a poll is answered %d %.100s after %v; want %s within %v", status, text, took, want, within)
		}
	}
	start := func() string {
		t.Helper()
		s, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", SignAfter: time.Hour})
		testkit.NoError(t, err)
		return s.Token
	}
	finish := func(token string) string {
		t.Helper()
		testkit.NoError(t, sim.Finish(token, simulator.Succeeded))
		return token
	}
	known := start()
	poll(known, `"waiting"`, soon)
	testkit.Eventually(t, "its first sight is told of", func() bool {
		st, err := b.webhooks.Stats(t.Context())
		return err == nil && r.Count() == 1 && st.BacklogNow == 0
	})

	disk.Hang(true)
	finish(known)
	unknown := finish(start())
	poll(unknown, `"ok"`, slowly)
	testkit.Eventually(t, "the end of the one that is watched is seen, and neither can be stored", func() bool { return b.unkept.Count() == 2 })
	poll(known, `"ok"`, soon)
	poll(unknown, `"ok"`, soon)
	poll(finish(start()), `"ok"`, soon)
	poll(start(), `"waiting"`, soon)
	if status, text := ask("GET", private+"/readyz", ""); status != 503 || !strings.Contains(text, "cannot be stored") {
		t.Errorf("readyz is %d %s; want 503, and why", status, text)
	}
	if n := len(r.finals()); n != 0 {
		t.Errorf("%d ends were told of, of which nothing is stored", n)
	}

	disk.Hang(false)
	testkit.Eventually(t, "the answers are stored after all", func() bool { return b.unkept.Count() == 0 })
	testkit.Eventually(t, "readyz is 200", func() bool { status, _ := ask("GET", private+"/readyz", ""); return status == 200 })
	testkit.Eventually(t, "the ends are told of", func() bool { return len(r.finals()) == 3 })
	for token, ids := range r.finals() {
		if len(ids) != 1 {
			t.Errorf("the end of %s was told of under %d ids", token, len(ids))
		}
	}
	poll(finish(start()), `"ok"`, soon)
	testkit.Eventually(t, "what ends afterwards is told of", func() bool { return len(r.finals()) == 4 })
}
