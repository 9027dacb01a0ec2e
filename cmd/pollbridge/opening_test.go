package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/config"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
)

// sharedConfig is of a replica on a NATS server of its own.
func sharedConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Upstream.URL = "http://127.0.0.1:1"
	cfg.Proxy.Listen, cfg.Admin.Listen, cfg.Admin.Keys = "127.0.0.1:0", "127.0.0.1:0", []string{managementKey}
	cfg.Store.NATS.URL, cfg.Store.NATS.Replicas = natscluster.Start(t, 1, natscluster.Settings{}).URL(), 1
	cfg.Store.Data.EncryptionKeyFile = keyFile(t)
	return cfg
}

// keyFile is that of a key for a store.
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	testkit.NoError(t, os.WriteFile(path, []byte(strings.Repeat("ab", 32)), 0o600))
	return path
}

// TestOpenedAgain: what opens after it could not knows nothing of the tries before.
func TestOpenedAgain(t *testing.T) {
	t.Parallel()
	failures := 2
	b, err := newBridge(t.Context(), setup{cfg: sharedConfig(t), log: slog.New(slog.DiscardHandler), through: func(c store.Connection) (store.Connection, error) {
		if failures--; failures >= 0 {
			return nil, errors.New("not yet")
		}
		return c, nil
	}})
	testkit.NoError(t, err)
	testkit.NoError(t, b.start())
	t.Cleanup(b.stop)
	a := testkit.Do(t, "POST", "http://"+b.privateListener.Addr().String()+"/v1/subscriptions", `{"url":"https://hooks.example.com","endpoints":["none"]}`,
		"Authorization: Bearer "+managementKey, "Content-Type: application/json")
	if a.Status != 422 || strings.Count(a.Body, "smartid-sign,") != 2 { // in its detail, and for the field
		t.Errorf("an endpoint that there is not is answered %d %s; want 422, and each that there is once", a.Status, a.Body)
	}
}

// TestNotOpenedAgain: nothing is tried, nor waited for, once nobody wants it any more.
func TestNotOpenedAgain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	tries, enough := 0, errors.New("enough")
	b, err := newBridge(ctx, setup{cfg: sharedConfig(t), log: slog.New(slog.DiscardHandler), through: func(store.Connection) (store.Connection, error) {
		tries++
		cancel(enough)
		return nil, errors.New("not yet")
	}})
	if !errors.Is(err, enough) || b != nil || tries != 1 {
		t.Errorf("after %d tries it is %v, %v; want the reason after one", tries, b, err)
	}
}

// TestStoppedWhileOpening: who is told to end while the servers of NATS are away does so at once, in good order.
func TestStoppedWhileOpening(t *testing.T) {
	t.Parallel()
	p := begin(t, []string{
		"POLLBRIDGE_STORE_NATS_URL=nats://127.0.0.1:" + testkit.Ports(t, 1)[0], "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + keyFile(t), "POLLBRIDGE_ADMIN_KEY=" + managementKey,
	}, "serve", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	testkit.Eventually(t, "it tries again", func() bool { return strings.Contains(p.Log.String(), "trying again") })
	if code, took := p.terminate(); code != 0 || took > 5*time.Second || strings.Contains(p.Log.String(), "pollbridge: ") {
		t.Errorf("SIGTERM: exit code %d after %v; want 0 at once, and no error: %s", code, took, &p.Log)
	}
}

// TestMovedWithoutPermission: who moves a fleet is told what its user may not do, as at a start.
func TestMovedWithoutPermission(t *testing.T) {
	t.Parallel()
	permissions, err := os.ReadFile("../../deploy/nats/permissions.conf")
	testkit.NoError(t, err)
	without := strings.Replace(string(permissions), `  "$JS.API.STREAM.INFO.*"`+"\n", "", 1)
	servers := natscluster.Start(t, 1, natscluster.Settings{Extra: "authorization {users: [{user: a, password: b, permissions: {\n" + without + "}}]}"})
	code, _, errOut := runProgram(t, []string{
		"POLLBRIDGE_STORE_NATS_URL=nats://a:b@" + servers.Servers[0].Addr, "POLLBRIDGE_STORE_NATS_REPLICAS=1", "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + keyFile(t),
	}, "export", filepath.Join(t.TempDir(), "export"))
	said := strings.TrimSpace(errOut)
	last := said[strings.LastIndexByte(said, '\n')+1:]
	if code != exitFailed || !strings.Contains(last, "the user may not do what is needed: ") {
		t.Errorf("export: exit code %d, %q; want %d, and what is missing", code, last, exitFailed)
	}
}
