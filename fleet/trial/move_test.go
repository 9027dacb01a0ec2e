//go:build trial

package trial_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
)

// mover moves what a lab's replicas have from one store to another.
type mover struct {
	*lab
	before string // what the management API told
	cursor string // of an event in the midst
}

// shown is all that the management API of a replica tells.
func (m *mover) shown(r *replica) string {
	m.t.Helper()
	var all bytes.Buffer
	for _, path := range []string{
		"/v1/subscriptions", "/v1/sessions?limit=100", "/v1/deliveries?limit=100", "/v1/deliveries?state=waiting", "/v1/events?limit=100", "/v1/events?after=" + m.cursor,
	} {
		status, answer := r.call("GET", path, nil)
		var page map[string]any
		if err := json.Unmarshal([]byte(answer), &page); status != 200 || err != nil {
			m.t.Fatalf("GET %s = %d %s", path, status, answer)
		}
		delete(page, "next")
		if items := page["items"].([]any); strings.HasPrefix(path, "/v1/sessions") {
			// By the servers' clock, which is known about only; and who looks after a session may write of it.
			for _, item := range items {
				for _, name := range []string{"created_at", "changed_at", "deadline"} {
					delete(item.(map[string]any), name)
				}
			}
			slices.SortFunc(items, func(a, b any) int {
				return strings.Compare(a.(map[string]any)["id"].(string), b.(map[string]any)["id"].(string))
			})
		}
		text, _ := json.MarshalIndent(page, "", " ")
		fmt.Fprintf(&all, "%s: %s\n", path, text)
	}
	return all.String()
}

// same checks that a replica tells what was told before. Listings may lag behind for a moment.
func (m *mover) same(r *replica, where string) {
	m.t.Helper()
	var now string
	defer func() {
		was, is := strings.Split(m.before, "\n"), strings.Split(now, "\n")
		for i := range min(len(was), len(is)) {
			if was[i] != is[i] {
				m.t.Errorf("%s line %d of what the management API tells is %s; want %s", where, i, is[i], was[i])
				return
			}
		}
	}()
	testkit.Eventually(m.t, where+" the management API tells the same", func() bool {
		now = m.shown(r)
		return now == m.before
	})
}

// run runs a command on a store: that of a fleet, or a directory.
func (m *mover) run(store []string, args ...string) (out string, err error) {
	m.t.Helper()
	binary, err := program()
	testkit.NoError(m.t, err)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE="+m.key)
	cmd.Env = append(cmd.Env, store...)
	text, err := cmd.CombinedOutput()
	m.t.Logf("%s, %v: %v\n%s", strings.Join(args, " "), store, err, text)
	return string(text), err
}

func (m *mover) must(store []string, args ...string) {
	m.t.Helper()
	if _, err := m.run(store, args...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mover) fleet(prefix string) []string {
	return []string{"POLLBRIDGE_STORE_NATS_URL=" + m.nats.URL(), "POLLBRIDGE_STORE_NATS_PREFIX=" + prefix}
}

func directory(path string) []string { return []string{"POLLBRIDGE_STORE_DIR=" + path} }

// start starts replicas on a store, and stop stops them.
func (m *mover) start(store []string, replicas ...*replica) {
	m.t.Helper()
	for _, r := range replicas {
		r.env = append(r.env, "POLLBRIDGE_STORE_NATS_URL=", "POLLBRIDGE_STORE_NATS_PREFIX=")
		r.env = append(r.env, store...)
		r.Start()
	}
	for _, r := range replicas {
		r.ready()
	}
}

func stop(replicas ...*replica) {
	for _, r := range replicas {
		r.Terminate()
	}
}

// TestMoved: a backup of a running fleet becomes another fleet, that becomes a single node, and that
// a fleet again. All has what the first one had, and what was under way goes on.
func TestMoved(t *testing.T) {
	m := &mover{lab: newLab(t, 2)}
	m.hooks.Set(func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Path == "/later" {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if status, answer := m.replicas[0].call("POST", "/v1/subscriptions", []byte(`{"url":"`+m.hooks.URL+`/later","events":["session.succeeded"]}`)); status != 201 {
		t.Fatalf("the subscription is answered %d %s", status, answer)
	}
	over := m.sign(1, time.Second, time.Second)
	under := m.sign(10, time.Hour, time.Hour)
	m.delivered(over, moved)
	one, other := m.replicas[0], m.replicas[1]
	testkit.Eventually(t, "all began, one is over, and told of", func() bool {
		counts := map[string]int{}
		_, answer := one.call("GET", "/v1/deliveries?limit=100", nil)
		var page struct{ Items []struct{ State string } }
		json.Unmarshal([]byte(answer), &page)
		for _, d := range page.Items {
			counts[d.State]++
		}
		return counts["delivered"] == 12 && counts["waiting"] == 1
	})
	_, answer := one.call("GET", "/v1/events?limit=5", nil)
	var page struct{ Next string }
	testkit.NoError(t, json.Unmarshal([]byte(answer), &page))
	m.cursor = page.Next
	testkit.Eventually(t, "both replicas tell the same", func() bool {
		m.before = m.shown(one)
		return m.before == m.shown(other) && strings.Contains(m.before, `"final": true`)
	})

	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	first, second, node, third := m.fleet("pollbridge"), m.fleet("second"), directory(file("node")), m.fleet("third")
	m.must(first, "export", file("1"))
	if out, err := m.run(first, "import", file("1")); err == nil || !strings.Contains(out, "replicas run on") {
		t.Errorf("an import into a fleet that runs: %v %s", err, out)
	}
	m.same(one, "after that")
	stop(one, other)
	if out, err := m.run(first, "import", file("1")); err == nil || !strings.Contains(out, "something stored already") {
		t.Errorf("an import into a fleet that has something: %v %s", err, out)
	}

	m.must(second, "import", file("1"))
	m.start(second, one, other)
	m.same(other, "in another fleet")
	stop(one, other)
	m.must(second, "export", file("2"))

	m.must(node, "import", file("2"))
	m.start(node, one)
	m.same(one, "on a single node")
	stop(one)
	m.must(node, "export", file("3"))

	m.must(third, "import", file("3"))
	m.start(third, one, other)
	m.same(one, "in a fleet again")
	if status, answer := poll(other.public, over[0]); status != 200 || !strings.Contains(answer, `"ok"`) {
		t.Errorf("the document is answered %d %s", status, answer)
	}
	told := m.hooks.Count()
	for _, token := range under {
		m.up.end(token, time.Now())
	}
	m.delivered(under, moved)
	if n := m.hooks.Count() - told; n < len(under) || n > 2*len(under) { // one of two subscriptions puts some off
		t.Errorf("%d webhooks came after it was moved; want no more than one each", n)
	}
}

// TestBackupOfARunningFleet: from a backup that is made while signings end and a receiver fails, the
// end of each is delivered that had not been before.
func TestBackupOfARunningFleet(t *testing.T) {
	m := &mover{lab: newLab(t, 2)}
	var mu sync.Mutex
	ended, fails := map[any]bool{}, false // guarded by mu
	m.hooks.Set(func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if fails {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else if got.Type == "session.succeeded" {
			ended[got.Data["token"]] = true
		}
	})
	delivered := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ended)
	}
	failing := func(now bool) {
		mu.Lock()
		defer mu.Unlock()
		fails = now
	}
	n := 150
	tokens := m.sign(n, time.Second, 8*time.Second)
	testkit.Eventually(t, "all are watched, and some are over", func() bool {
		watched := m.stream("TABLE_sessions", jetstream.WithSubjectFilter("pollbridge.TABLE_sessions.>"))
		return len(watched.State.Subjects) == n && delivered() > n/4
	})
	file := filepath.Join(t.TempDir(), "backup")
	failing(true)
	m.must(m.fleet("pollbridge"), "export", file)
	for _, r := range m.replicas {
		r.Kill()
	}
	t.Logf("%d of %d were delivered before the backup", delivered(), n)
	failing(false)
	second := m.fleet("second")
	m.must(second, "import", file)
	m.start(second, m.replicas...)
	testkit.Eventually(t, "all are delivered", func() bool { return delivered() == n })
	m.delivered(tokens, time.Minute)
}
