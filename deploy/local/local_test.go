package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// TestLocal: the fleet serves at its two addresses, also when a replica is killed, and nothing of it
// runs any more when the command has ended.
func TestLocal(t *testing.T) {
	const wanted = "POLLBRIDGE_TEST_DEPLOY"
	if os.Getenv(wanted) == "" {
		t.Skip("builds and starts six programs, half a minute: .ci/deploy does")
	}
	os.Unsetenv(wanted) // replicas refuse settings that they do not know
	sim, upstream := testkit.Simulate(t, nil)
	dir, ports := t.TempDir(), testkit.Ports(t, 2)
	public, private := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	t.Chdir("../..")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	testkit.NoError(t, (&fleet{dir: dir}).build(ctx)) // which may take longer than what follows is waited for
	out, ended := &testkit.LogBuffer{}, make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--upstream", upstream, "--listen", public, "--admin-listen", private, "--dir", dir}, out)
	}()
	testkit.Eventually(t, "the fleet serves", func() bool {
		if len(ended) > 0 {
			t.Fatalf("it has ended: %v\n%s", <-ended, out)
		}
		return strings.Contains(out.String(), "all three")
	})
	key, err := os.ReadFile(filepath.Join(dir, "admin.key"))
	testkit.NoError(t, err)
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame", Outcome: simulator.Waiting})
	testkit.NoError(t, err)
	polls := func(want string) {
		t.Helper()
		testkit.Eventually(t, "all replicas answer "+want, func() bool {
			for range 6 { // of which each is asked
				a := testkit.Do(t, "POST", "http://"+public+"/smartid/sign/status/"+signing.Token+".json", `{"access_token":"sesame"}`, "Connection: close")
				if a.Status != 200 || !strings.Contains(a.Body, want) {
					return false
				}
			}
			return true
		})
	}
	polls(`"waiting"`)
	if asked, _ := sim.Session(signing.Token); asked.MaxInFlight > 1 {
		t.Errorf("the upstream is asked %d times at once", asked.MaxInFlight)
	}
	replicas := func() int {
		a := testkit.Do(t, "GET", "http://"+private+"/v1/replicas", "", "Authorization: Bearer "+string(key))
		var list struct{ Items []any }
		testkit.NoError(t, json.Unmarshal([]byte(a.Body), &list))
		return len(list.Items)
	}
	testkit.Eventually(t, "there are three replicas", func() bool { return replicas() == 3 })

	id, _ := strconv.Atoi(regexp.MustCompile(`pollbridge-2 .* process (\d+)`).FindStringSubmatch(out.String())[1])
	killed, err := os.FindProcess(id)
	testkit.NoError(t, err)
	testkit.NoError(t, killed.Kill())
	testkit.Eventually(t, "its end is said", func() bool { return strings.Contains(out.String(), "pollbridge-2 has ended") })
	testkit.NoError(t, sim.Finish(signing.Token, simulator.Succeeded))
	testkit.Eventually(t, "the others know that", func() bool { return replicas() == 2 })
	polls(`"ok"`)

	cancel()
	testkit.NoError(t, testkit.Receive(t, "it ends", ended))
	if said := out.String(); strings.Count(said, "has ended") != 1 {
		t.Errorf("it says\n%s\nwant the end of what was killed, and no other", said)
	}
}

// TestUpstreamIsNeeded: the error says so.
func TestUpstreamIsNeeded(t *testing.T) {
	if err := run(t.Context(), nil, os.Stdout); err == nil || !strings.Contains(err.Error(), "--upstream URL") {
		t.Errorf("run = %v; want that --upstream is needed", err)
	}
}
