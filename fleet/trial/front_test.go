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
	backend := func(name, check string) string {
		text := "backend " + name + "\n  balance random\n  option httpchk GET " + check + "\n"
		for i, r := range replicas {
			port := r.private[strings.LastIndexByte(r.private, ':')+1:]
			text += fmt.Sprintf("  server r%d %s check port %s inter 500ms fall 2 rise 1\n", i, r.public, port)
		}
		return text
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
  retry-on conn-failure empty-response
frontend public
  bind `+address+`
  # Where none is ready, those that are alive answer from memory and the upstream.
  use_backend ready if { nbsrv(ready) gt 0 }
  default_backend alive
`+backend("ready", "/readyz")+backend("alive", "/healthz")), 0o600))
	testkit.StartProcess(t, exec.Command("haproxy", "-db", "-f", file))
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
