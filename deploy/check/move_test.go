package check

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// TestMove: what deploy/nats/permissions.conf allows is enough to export a fleet that runs, and to
// import that at other servers, where it goes on.
func TestMove(t *testing.T) {
	t.Parallel()
	const three = 3 // who is alone is asked in other ways
	permissions := read(t, "deploy/nats/permissions.conf")
	sim, upstream := testkit.Simulate(t, func(c *simulator.Config) {
		testkit.NoError(t, c.SignAfter.UnmarshalText([]byte("1h")))
	})
	receiver := testkit.NewReceiver(t, nil)
	further := []string{
		"POLLBRIDGE_UPSTREAM_URL=" + upstream, "POLLBRIDGE_WEBHOOK_ALLOW_HTTP=true", "POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8",
		fmt.Sprint("POLLBRIDGE_WEBHOOK_ALLOW_PORTS=", receiver.Port()),
	}
	key, file := keyFile(t), filepath.Join(t.TempDir(), "export")

	from := fleetAt(t, three, permissions, key)
	first := startReplica(t, from, further...)
	var subscription struct{ ID, Secret string }
	call(t, "POST", first.management+"/v1/subscriptions", `{"url":"`+receiver.URL+`"}`, &subscription)
	told := func(event string) int { return told(t, receiver, subscription.Secret, event) }
	var over, erased, pending struct{ Token string } // so the log has a gap, and most streams hold something
	for _, signing := range []any{&over, &erased, &pending} {
		call(t, "POST", first.front+"/en/smartid/sign.json", `{"access_token":"test","type":"pdf","country":"LT","code":"50001010006"}`, signing)
	}
	testkit.Eventually(t, "all began", func() bool { return told("session.pending") == 3 })
	for _, token := range []string{over.Token, erased.Token} {
		testkit.NoError(t, sim.Finish(token, simulator.Succeeded))
	}
	testkit.Eventually(t, "two are over", func() bool { return told("session.succeeded") == 2 })
	first.erase(t, erased.Token)
	succeed(t, from, "export", file)
	first.Terminate()

	to := fleetAt(t, three, permissions, key)
	succeed(t, to, "import", file)
	second := startReplica(t, to, further...)
	var subscriptions struct{ Items []struct{ ID, URL string } }
	call(t, "GET", second.management+"/v1/subscriptions", "", &subscriptions)
	if got := subscriptions.Items; len(got) != 1 || got[0].ID != subscription.ID || got[0].URL != receiver.URL {
		t.Errorf("after the import the subscriptions are %v; want %s for %s", got, subscription.ID, receiver.URL)
	}
	testkit.NoError(t, sim.Finish(pending.Token, simulator.Succeeded))
	testkit.Eventually(t, "the end of what was under way was told", func() bool { return told("session.succeeded") == 3 })
	for _, r := range []*single{first, second} {
		if _, denied, found := strings.Cut(r.Log.String(), "the user may not do"); found {
			t.Errorf("a replica was not allowed something: %.200s", denied)
		}
	}
}

// TestExportWithoutPermission: an export says which right its user lacks that a replica does not need.
func TestExportWithoutPermission(t *testing.T) {
	t.Parallel()
	const missing = "$JS.API.STREAM.NAMES"
	permissions := read(t, "deploy/nats/permissions.conf")
	without := strings.Replace(permissions, `  "`+missing+`"`, "", 1)
	if without == permissions {
		t.Fatalf("deploy/nats/permissions.conf lacks %s", missing)
	}
	fleet := fleetAt(t, 1, without, keyFile(t))
	startReplica(t, fleet, "POLLBRIDGE_UPSTREAM_URL=http://127.0.0.1:1")
	out, err := fleetCommand(t, fleet, "export", filepath.Join(t.TempDir(), "export")).CombinedOutput()
	said := strings.TrimSpace(string(out))
	last := said[strings.LastIndexByte(said, '\n')+1:]
	if err == nil || !strings.Contains(last, fmt.Sprintf("the user may not do what is needed: Publish to %q", missing)) {
		t.Errorf("export: %v, and at last %q; want that %s is missing", err, last, missing)
	}
}

// succeed runs a command to its end, to which nothing may be denied.
func succeed(t *testing.T, settings []string, args ...string) {
	t.Helper()
	out, err := fleetCommand(t, settings, args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "the user may not do") {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}

// single is a replica that runs, alone in its fleet.
type single struct {
	*testkit.Process
	front, management string
}

// startReplica starts a replica of a fleet, with further settings, and waits until it is ready.
func startReplica(t *testing.T, fleet []string, further ...string) *single {
	t.Helper()
	ports := testkit.Ports(t, 2)
	front, management := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	settings := slices.Concat(fleet, further, []string{"POLLBRIDGE_LISTEN=" + front, "POLLBRIDGE_ADMIN_LISTEN=" + management, "POLLBRIDGE_ADMIN_KEY=" + adminKey})
	r := &single{testkit.StartProcess(t, fleetCommand(t, settings, "serve")), "http://" + front, "http://" + management}
	testkit.Eventually(t, "a replica is ready", func() bool {
		select {
		case <-r.Ended():
			t.Fatalf("a replica has ended: %s", &r.Log)
		default:
		}
		return testkit.Do(t, "GET", r.management+"/readyz", "").Status == http.StatusOK
	})
	return r
}

// erase erases the session that has a token.
func (r *single) erase(t *testing.T, token string) {
	t.Helper()
	var events struct {
		Items []struct {
			Subject string
			Payload struct{ Data struct{ Token string } }
		}
	}
	call(t, "GET", r.management+"/v1/events", "", &events)
	for _, e := range events.Items {
		if e.Payload.Data.Token == token {
			if a := testkit.Do(t, "DELETE", r.management+"/v1/sessions/"+e.Subject, "", "Authorization: Bearer "+adminKey); a.Status != http.StatusNoContent {
				t.Errorf("a session's deletion is answered %d %s", a.Status, a.Body)
			}
			return
		}
	}
	t.Errorf("there is no event of %s", token)
}

// told is of how many signings a receiver was told an event.
func told(t *testing.T, receiver *testkit.Receiver, secret, event string) int {
	t.Helper()
	tokens := map[any]bool{}
	for _, w := range receiver.Got() {
		testkit.NoError(t, w.Verify(secret))
		if w.Type == event {
			tokens[w.Data["token"]] = true
		}
	}
	return len(tokens)
}
