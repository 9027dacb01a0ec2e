package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"pollbridge/internal/check"
)

// checkConfig parses args as the command line of check-config and runs it.
func checkConfig(t *testing.T, args ...string) (printed string, err error) {
	t.Helper()
	var cmd checkConfigCmd
	parser, err := kong.New(&cmd, kong.Name("check-config"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatalf("check-config %q: %v", args, err)
	}
	var out strings.Builder
	err = cmd.Run(context.Background(), &out)
	return out.String(), err
}

func TestCheckConfigPrintsWhatIsInEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(path, []byte("listen: ':1'\ncache: {final_ttl: 1h0m}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("POLLBRIDGE_ADMIN_KEY", "0123456789abcdef")
	t.Setenv("POLLBRIDGE_LISTEN", ":2")
	printed, err := checkConfig(t, "--config", path, "--upstream", "https://upstream.test", "--data-dir=/data", "--admin-listen=:3")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"listen: :2 # environment POLLBRIDGE_LISTEN",
		"  url: https://upstream.test # flag --upstream",
		"  final_ttl: 1h # file " + path + ":2",
		"  dir: /data # flag --data-dir",
		"  listen: :3 # flag --admin-listen",
		"  keys: ['***'] # environment POLLBRIDGE_ADMIN_KEY",
	} {
		if !strings.Contains(printed, line+"\n") {
			t.Errorf("check-config printed\n%s\nwant the line %q", printed, line)
		}
	}
}

func TestCheckConfigReturnsAllMistakes(t *testing.T) {
	printed, err := checkConfig(t, "--listen=8080", "--admin-listen=")
	if len(check.All(err)) != 3 {
		t.Errorf("check-config: %v; want three mistakes: listen, admin.listen, upstream.url", err)
	}
	if printed != "" {
		t.Errorf("check-config printed %q; want nothing beside mistakes", printed)
	}
}
