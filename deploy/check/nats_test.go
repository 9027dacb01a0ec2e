package check

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// TestPermissions: a replica starts with what deploy/nats/permissions.conf allows, as TestFleet
// shows, and without any line of it that a start needs it says what is missing. docs/fleet.md
// lists the same.
func TestPermissions(t *testing.T) {
	t.Parallel()
	all := read(t, "deploy/nats/permissions.conf")
	publish := published(t)
	documented := read(t, "docs/fleet.md")
	for _, p := range publish {
		if !strings.Contains(documented, `"`+p+`"`) {
			t.Errorf("docs/fleet.md lacks %s", p)
		}
	}
	lines := []string{`subscribe: ["pollbridge.>"]`}
	later := []string{"$JS.ACK.>", "$JS.API.STREAM.UPDATE.*", "$JS.API.STREAM.PURGE.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.NAMES"}
	for _, p := range publish {
		if !slices.Contains(later, p) {
			lines = append(lines, `  "`+p+`"`)
		}
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			without := "subscribe: [\"nothing\"]"
			if strings.HasPrefix(line, " ") {
				without = ""
			}
			said := strings.TrimSpace(startWith(t, strings.Replace(all, line, without, 1)))
			last := said[strings.LastIndexByte(said, '\n')+1:]
			if !strings.Contains(last, "the user may not do what is needed: ") || !strings.Contains(last, "docs/fleet.md lists what to allow") {
				t.Errorf("a start ends with %q; it does not say what is missing", last)
			}
		})
	}
}

// published is where deploy/nats/permissions.conf allows to publish.
func published(t *testing.T) []string {
	t.Helper()
	return names(`(?m)^  "(.*)"$`, read(t, "deploy/nats/permissions.conf"))
}

// startWith is what a replica says that is started for a user with these permissions, and ends.
func startWith(t *testing.T, permissions string) string {
	t.Helper()
	ports := testkit.Ports(t, 2)
	out, _ := fleetCommand(t, append(fleetAt(t, 1, permissions, keyFile(t)),
		"POLLBRIDGE_LISTEN=127.0.0.1:"+ports[0], "POLLBRIDGE_ADMIN_LISTEN=127.0.0.1:"+ports[1], "POLLBRIDGE_ADMIN_KEY="+adminKey,
		"POLLBRIDGE_UPSTREAM_URL=http://127.0.0.1:1"), "serve").CombinedOutput()
	return string(out)
}

// fleetAt starts n servers of NATS, and returns the settings of who uses them as a user with these
// permissions.
func fleetAt(t *testing.T, n int, permissions, key string) []string {
	t.Helper()
	servers := natscluster.Start(t, n, natscluster.Settings{Extra: "authorization {users: [{user: pollbridge, password: sesame, permissions: {\n" + permissions + "}}]}"})
	return []string{
		"POLLBRIDGE_STORE_NATS_URL=" + strings.ReplaceAll(servers.URL(), "nats://", "nats://pollbridge:sesame@"),
		fmt.Sprint("POLLBRIDGE_STORE_NATS_REPLICAS=", n), "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + key,
	}
}

// fleetCommand is a command of the program, which has these settings alone.
func fleetCommand(t *testing.T, settings []string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := program()
	testkit.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = settings
	return cmd
}
