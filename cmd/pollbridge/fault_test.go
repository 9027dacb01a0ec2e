package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// keyring is a receiver for many subscriptions, which differ in their paths. Each may
// sign with the secret that was answered last.
type keyring struct {
	*testkit.Receiver

	mu      sync.Mutex
	secrets map[string]string // by path; guarded by mu
}

func newKeyring(t testing.TB) *keyring {
	k := &keyring{secrets: map[string]string{}}
	k.Receiver = testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if err := got.Verify(k.secret(got.Path)); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	})
	return k
}

func (k *keyring) secret(path string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.secrets[path]
}

// learn takes the secret out of an answer that was a success.
func (k *keyring) learn(status int, answer string) (id string, ok bool) {
	var sub struct{ ID, URL, Secret string }
	if json.Unmarshal([]byte(answer), &sub) != nil || status/100 != 2 || sub.Secret == "" {
		return "", false
	}
	at, err := url.Parse(sub.URL)
	if err != nil {
		return "", false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets[at.Path] = sub.Secret
	return sub.ID, true
}

// TestKilledDuringCreationAndRotation is promise 4: what was answered holds after
// kill -9, and the secret that was answered last signs, whatever was under way.
func TestKilledDuringCreationAndRotation(t *testing.T) {
	t.Parallel()
	_, upstream := testkit.Simulate(t, nil)
	k := newKeyring(t)
	d := launchDurable(t, upstream, fmt.Sprintf("webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [%d]}\n", k.Port()))
	auth, kind := "Authorization: Bearer "+managementKey, "Content-Type: application/json"
	made := make(chan string, 10_000)
	for round := range 3 {
		address := d.private + "/v1/subscriptions"
		var managing sync.WaitGroup
		for worker := range 4 {
			managing.Go(func() {
				for i := 0; ; i++ {
					body := fmt.Sprintf(`{"url":"%s/%d/%d/%d"}`, k.URL, round, worker, i)
					id, ok := k.learn(ask("POST", address, body, auth, kind))
					if !ok {
						return // killed
					}
					made <- id
					for range 3 {
						if _, ok := k.learn(ask("POST", address+"/"+id+"/rotate-secret", "", auth)); !ok {
							return
						}
					}
				}
			})
		}
		want := len(made) + 5 + 7*round
		testkit.Eventually(t, "subscriptions are made", func() bool { return len(made) > want })
		d.crash()
		managing.Wait()
	}
	ids, manage := len(made), d.api()
	for range ids {
		id := <-made
		if _, err := manage.Subscription(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if attempt, err := manage.TestSubscription(t.Context(), id); err != nil || attempt.Status != 200 {
			t.Errorf("%s: %+v, %v; want it signed with the secret that was answered last", id, attempt, err)
		}
	}
	t.Logf("%d subscriptions", ids)
	for p := (api.Page{}); ; {
		page, err := manage.Subscriptions(t.Context(), p)
		testkit.NoError(t, err)
		for _, item := range page.Items {
			if _, err := manage.Subscription(t.Context(), item.ID); err != nil {
				t.Errorf("%s is listed: %v", item.ID, err)
			}
		}
		if p.Cursor = page.Next; p.Cursor == "" {
			break
		}
	}
}

// withoutStore checks that the program does what it can without its store, and says
// what it cannot.
func withoutStore(t *testing.T, d *durable, sim *simulator.Simulator, hook string) {
	t.Helper()
	testkit.Eventually(t, "readyz is 503", func() bool {
		status, body := ask("GET", d.private+"/readyz", "")
		return status == 503 && strings.Contains(body, "store")
	})
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", SignAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "a document is signed", func() bool {
		status, text := ask("POST", d.public+"/smartid/sign/status/"+signing.Token+".json", someBody)
		if status != 200 {
			t.Errorf("a poll is answered %d %s", status, text)
		}
		return strings.Contains(text, `"ok"`)
	})
	status, text := ask("POST", d.private+"/v1/subscriptions", fmt.Sprintf(`{"url":%q}`, hook), "Authorization: Bearer "+managementKey, "Content-Type: application/json")
	if status != 503 || !strings.Contains(text, `"title"`) {
		t.Errorf("a subscription that cannot be kept is answered %d %s; want 503", status, text)
	}
	_, metrics := ask("GET", d.private+"/metrics", "")
	for _, line := range []string{"pollbridge_store_connected 0\n", "pollbridge_finals_not_stored 1\n"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %q", line)
		}
	}
	if status, _ := ask("GET", d.private+"/healthz", ""); status != 200 {
		t.Errorf("healthz = %d; want 200: a restart does not help", status)
	}
}

// TestEngineDirectoryDeleted: polls are answered, nothing is promised, and the next
// start begins anew.
func TestEngineDirectoryDeleted(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.FileSize = 8 << 10 })
	d := launchDurable(t, upstream, "cache: {pending_ttl: 200ms}\n")
	const hook = "https://hooks.example/"
	_, err := d.api().CreateSubscription(t.Context(), api.NewSubscription{URL: hook})
	testkit.NoError(t, err)
	if err := os.RemoveAll(filepath.Join(d.dir, "engine")); err != nil {
		t.Fatal(err)
	}
	withoutStore(t, d, sim, hook)
	if code, took := d.terminate(); code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v", code, took)
	}
	d.start()
	_, err = d.api().CreateSubscription(t.Context(), api.NewSubscription{URL: hook})
	testkit.NoError(t, err)
}
