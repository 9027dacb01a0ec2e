// Package natscluster runs real servers of NATS, each a process of its own, as a cluster.
package natscluster

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"pollbridge/internal/testkit"
)

// Cluster is servers that know each other.
type Cluster struct {
	Servers []*Server
}

// Server is one server of a cluster.
type Server struct {
	Addr    string // for clients: HOST:PORT
	Dir     string // where it keeps what is stored
	monitor string
	config  string
	t       testing.TB

	mu   sync.Mutex
	cmd  *exec.Cmd // guarded by mu; nil while the server does not run
	done chan struct{}
}

// Settings is how servers are configured beyond what a cluster needs. The zero value will do.
type Settings struct {
	Extra string // lines of each server's configuration
	Bare  bool   // without JetStream
}

// binary returns the path of the server that go.mod pins, built if need be.
var binary = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "nats-server").Output()
	return string(bytes.TrimSpace(out)), err
})

// Start starts n servers, 1 or an odd number, and waits until they can be used. They end with
// the test.
func Start(t testing.TB, n int, s Settings) *Cluster {
	t.Helper()
	const attempts = 5 // somebody else may take a port before the server does
	for range attempts {
		if c := start(t, n, s); c != nil {
			return c
		}
	}
	t.Fatal("the servers do not start")
	return nil
}

// start returns nil if a server does not start.
func start(t testing.TB, n int, s Settings) *Cluster {
	t.Helper()
	dir := t.TempDir() // first, as it goes last
	ports := testkit.Ports(t, 3*n)
	routes := make([]string, n)
	for i := range n {
		routes[i] = "nats://127.0.0.1:" + ports[3*i+1]
	}
	c := &Cluster{}
	t.Cleanup(func() {
		for _, server := range c.Servers {
			server.Kill()
		}
	})
	for i := range n {
		dir := filepath.Join(dir, strconv.Itoa(i))
		testkit.NoError(t, os.Mkdir(dir, 0o700))
		server := &Server{Addr: "127.0.0.1:" + ports[3*i], monitor: "127.0.0.1:" + ports[3*i+2], Dir: filepath.Join(dir, "data"), config: filepath.Join(dir, "nats.conf"), t: t}
		lines := []string{
			fmt.Sprintf("server_name: n%d", i), "listen: " + server.Addr, "http: " + server.monitor,
		}
		if !s.Bare {
			lines = append(lines, fmt.Sprintf("jetstream {store_dir: %q, sync_interval: always}", server.Dir))
		}
		if n > 1 {
			lines = append(lines, fmt.Sprintf("cluster {name: test, listen: 127.0.0.1:%s, routes: [%s]}", ports[3*i+1], strings.Join(routes, ", ")))
		}
		testkit.NoError(t, os.WriteFile(server.config, []byte(strings.Join(append(lines, s.Extra), "\n")+"\n"), 0o600))
		c.Servers = append(c.Servers, server)
		server.Start()
	}
	for _, server := range c.Servers {
		if !server.healthy() {
			return nil
		}
	}
	return c
}

// URL names all servers.
func (c *Cluster) URL() string {
	var urls []string
	for _, s := range c.Servers {
		urls = append(urls, "nats://"+s.Addr)
	}
	return strings.Join(urls, ",")
}

// Connect connects to a server, until the end of the test.
func (c *Cluster) Connect(t testing.TB, server int) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://" + c.Servers[server].Addr)
	testkit.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// Start starts a server that does not run.
func (s *Server) Start() {
	s.t.Helper()
	path, err := binary()
	testkit.NoError(s.t, err)
	log, err := os.OpenFile(s.config+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.NoError(s.t, err)
	defer log.Close()
	cmd := exec.Command(path, "-c", s.config)
	cmd.Stdout, cmd.Stderr = log, log
	testkit.NoError(s.t, cmd.Start())
	done := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	go func() { defer close(done); cmd.Wait() }()
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.config + ".log")
	return string(text)
}

// WaitHealthy waits until the server says that it can be used, JetStream too.
func (s *Server) WaitHealthy() {
	s.t.Helper()
	if !s.healthy() {
		s.t.Fatalf("server %s has ended: %s", s.Addr, s.Log())
	}
}

// healthy returns false if the server ends before it can be used.
func (s *Server) healthy() (ok bool) {
	s.t.Helper()
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	testkit.Eventually(s.t, "server "+s.Addr+" is healthy, or has ended", func() bool {
		select {
		case <-done:
			return true
		default:
		}
		answer, err := http.Get("http://" + s.monitor + "/healthz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		ok = answer.StatusCode == http.StatusOK
		return ok
	})
	return ok
}

// Signal sends a signal to a server that runs.
func (s *Server) Signal(signal syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd.Process.Signal(signal)
	}
}

// Kill ends a server without a word, and waits until it has ended.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Terminate has a server end in good order.
func (s *Server) Terminate() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	s.Signal(signal)
	s.mu.Lock()
	done := s.done
	s.cmd = nil
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}
