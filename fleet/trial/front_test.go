//go:build fleet

package trial_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// front starts HAProxy in front of replicas, as an operator would configure it, and returns its
// address.
func front(t *testing.T, replicas []*replica) string {
	t.Helper()
	address := "127.0.0.1:" + testkit.Ports(t, 1)[0]
	var servers strings.Builder
	for i, r := range replicas {
		port := r.private[strings.LastIndexByte(r.private, ':')+1:]
		fmt.Fprintf(&servers, "  server r%d %s check port %s inter 500ms fall 2 rise 1\n", i, r.public, port)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	testkit.NoError(t, os.WriteFile(file, []byte(`
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option redispatch
  retries 3
  retry-on conn-failure empty-response response-timeout 502 503
frontend public
  bind `+address+`
  default_backend replicas
backend replicas
  balance random
  option httpchk GET /readyz
`+servers.String()), 0o600))
	cmd := exec.Command("haproxy", "-db", "-f", file)
	testkit.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	testkit.Eventually(t, "the load balancer answers", func() bool {
		answer, err := http.Get("http://" + address + "/")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode != http.StatusServiceUnavailable
	})
	return address
}
