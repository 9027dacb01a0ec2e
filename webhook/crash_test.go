package webhook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
)

const (
	crashEvents = 300
	crashDir    = "WEBHOOK_TEST_CRASH_DIR"
	crashPort   = "WEBHOOK_TEST_CRASH_PORT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := runToCrash(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testkit.Together(4)
	goleak.VerifyTestMain(m)
}

// runToCrash publishes all events, from the first one again, and delivers until its
// input ends or it is killed.
func runToCrash(dir string) error {
	ctx := context.Background()
	port, err := strconv.Atoi(os.Getenv(crashPort))
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	s, err := teststore.Open(ctx, teststore.In(dir), store.DefaultConfig(), log)
	if err != nil {
		return err
	}
	cfg := webhook.DefaultConfig()
	cfg.AllowHTTP, cfg.AllowPorts = true, []int{port}
	cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Retries = nil
	for range 40 {
		cfg.Retries = append(cfg.Retries, 50*time.Millisecond)
	}
	registry := prometheus.NewRegistry()
	events, err := event.Open(ctx, event.Options{Store: s.Store, History: store.DefaultConfig().History, Log: log, Registry: registry})
	if err != nil {
		return err
	}
	b, err := webhook.New(ctx, cfg, webhook.Options{Store: s.Store, Events: events, Log: log, Registry: registry})
	if err != nil {
		return err
	}
	subs, _, err := b.List(ctx, "", 1)
	if err != nil {
		return err
	}
	if len(subs) == 0 {
		if _, err := b.Create(ctx, webhook.NewSubscription{URL: fmt.Sprintf("http://127.0.0.1:%d/", port)}); err != nil {
			return err
		}
	}
	if err := b.Start(); err != nil {
		return err
	}
	for i := range crashEvents {
		if _, err := b.Changed(ctx, change(fmt.Sprintf("ses_%d", i), session.Succeeded)); err != nil {
			return err
		}
	}
	io.Copy(io.Discard, os.Stdin)
	b.Close(someGrace)
	return s.Close()
}

// TestKilledAtRandomMoments: a receiver that fails a third of its requests gets every
// event, whatever happens to the sender.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	taken := map[string]string{} // by session: the id; guarded by mu
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, n int) {
		if n%3 == 0 {
			w.WriteHeader(500)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		id, _ := got.Data["session"].(string)
		if was := taken[id]; was != "" && was != got.ID() {
			t.Errorf("%s has the ids %s and %s", id, was, got.ID())
		}
		taken[id] = got.ID()
	})
	have := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(taken)
	}
	dir := t.TempDir()
	begin := func() (*exec.Cmd, io.Closer) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir, crashPort+"="+strconv.Itoa(r.Port()))
		child.Stderr = os.Stderr
		stdin, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		return child, stdin
	}
	for i := 1; i <= 5; i++ {
		child, _ := begin()
		enough := min(crashEvents, have()+rand.IntN(40))
		testkit.Eventually(t, "something arrived", func() bool { return have() >= enough })
		child.Process.Kill()
		child.Wait()
		t.Logf("killed with %d of %d events delivered, %d requests", have(), crashEvents, r.Count())
	}
	child, stdin := begin()
	defer child.Process.Kill()
	testkit.Eventually(t, "all events arrived", func() bool { return have() == crashEvents })
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the last run: %v", err)
	}
	t.Logf("%d requests for %d events", r.Count(), crashEvents)
}
