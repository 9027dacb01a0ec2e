//go:build trial

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
	var ready, alive, backup string
	for i, r := range replicas {
		check := fmt.Sprintf(" check port %s inter 500ms fall 2 rise 1\n", r.private[strings.LastIndexByte(r.private, ':')+1:])
		ready += fmt.Sprintf("  server ready%d %s observe layer4 error-limit 1 on-error mark-down", i, r.public) + check
		alive += fmt.Sprintf("  server r%d %s", i, r.public) + check
		backup += fmt.Sprintf("  server alive%d %s track alive/r%d backup\n", i, r.public, i)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	testkit.NoError(t, os.WriteFile(file, []byte(`
global
  log stdout format raw local0
defaults
  log global
  option httplog
  option dontlog-normal
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
frontend public
  bind `+address+`
  default_backend replicas
backend replicas
  # Where none is ready, those that are alive answer from memory and the upstream.
  balance random
  option allbackups
  option httpchk GET /readyz
`+ready+backup+`
backend alive
  option httpchk GET /healthz
`+alive), 0o600))
	balancer := testkit.StartProcess(t, exec.Command("haproxy", "-db", "-f", file))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the load balancer:\n%s", tail(balancer.Log.String()))
		}
	})
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
