package check

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestSplitByAccount: with what docs/fleet.md says of HAProxy, all requests of an account go to one of two fleets.
func TestSplitByAccount(t *testing.T) {
	t.Parallel()
	lines := names(`(?m)^      ((?:option|http-request|use_backend|default_backend) .*)$`, read(t, "docs/fleet.md"))
	if len(lines) != 4 {
		t.Fatalf("docs/fleet.md says of HAProxy: %q; want four lines", lines)
	}
	front := "127.0.0.1:" + testkit.Ports(t, 1)[0]
	config := "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nfrontend front\n bind " + front + "\n " +
		strings.Join(lines, "\n ") + "\n"
	for fleet := range 2 {
		server := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, fleet) }))
		config += fmt.Sprintf("backend fleet-%d\n server one %s\n", fleet, server.Listener.Addr())
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	testkit.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	haproxy := testkit.StartProcess(t, exec.Command("haproxy", "-f", file))
	ask := func(path, account string) string {
		return string(testkit.Do(t, "POST", "http://"+front+path, `{"type":"pdf","access_token":"`+account+`"}`).Body)
	}
	testkit.Eventually(t, "HAProxy answers", func() bool {
		select {
		case <-haproxy.Ended():
			t.Fatalf("HAProxy has ended: %s", &haproxy.Log)
		default:
		}
		answer, err := http.Get("http://" + front)
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
	seen := map[string]bool{}
	for i := range 20 {
		account := fmt.Sprint("account", i)
		want := fmt.Sprint(crc32.ChecksumIEEE([]byte(account)) % 2)
		seen[want] = true
		for _, path := range []string{"/smartid/sign.json", "/smartid/sign/status/token.json"} {
			if got := ask(path, account); got != want {
				t.Errorf("%s of %s goes to fleet %q; want %s", path, account, got, want)
			}
		}
	}
	if len(seen) != 2 {
		t.Error("all accounts belong to one fleet")
	}
}
