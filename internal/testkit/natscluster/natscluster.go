// Package natscluster runs real servers of NATS, each a process of its own, as a cluster.
package natscluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"pollbridge/internal/testkit"
)

// Cluster is servers that know each other.
type Cluster struct {
	Servers []*Server
}

// Server is one server of a cluster.
type Server struct {
	*testkit.Process
	Addr    string // for clients: HOST:PORT
	Name    string
	Dir     string // where it keeps what is stored
	monitor string
	config  string
	t       testing.TB
}

// Settings is how servers are configured beyond what a cluster needs. The zero value will do.
type Settings struct {
	Extra string // lines of each server's configuration
	Bare  bool   // without JetStream
	Begun bool   // Start does not wait until they can be used
	// MaxStore is how much each server stores, such as 64M; empty: as it thinks fit.
	MaxStore string
	Hosts    []Host // where each one runs; nil: all on loopback
	// Route returns the address at which one server reaches another, which listens at addr; nil:
	// there.
	Route func(from, to int, addr string) string
}

// Host is where a server runs.
type Host struct {
	Clients string   // its address for clients
	Servers string   // that for other servers
	Command []string // that runs a command there; what to run follows
}

// Binary returns the path of the server that go.mod pins, built if need be.
var Binary = sync.OnceValues(func() (string, error) {
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
	hosts := s.Hosts
	if hosts == nil {
		hosts = slices.Repeat([]Host{{Clients: "127.0.0.1", Servers: "127.0.0.1"}}, n)
	}
	servers := make([]string, n) // where they listen for each other
	for i, host := range hosts {
		servers[i] = net.JoinHostPort(host.Servers, ports[3*i+1])
	}
	path, err := Binary()
	testkit.NoError(t, err)
	c := &Cluster{}
	for i := range n {
		dir := filepath.Join(dir, strconv.Itoa(i))
		testkit.NoError(t, os.Mkdir(dir, 0o700))
		server := &Server{
			Addr: net.JoinHostPort(hosts[i].Clients, ports[3*i]), monitor: net.JoinHostPort(hosts[i].Clients, ports[3*i+2]), Name: fmt.Sprint("n", i),
			Dir: filepath.Join(dir, "data"), config: filepath.Join(dir, "nats.conf"), t: t,
		}
		server.Process = testkit.NewProcess(t, func() *exec.Cmd {
			command := append(slices.Clone(hosts[i].Command), path, "-c", server.config)
			return exec.Command(command[0], command[1:]...)
		})
		lines := []string{
			"server_name: " + server.Name, "listen: " + server.Addr, "http: " + server.monitor,
		}
		if !s.Bare {
			lines = append(lines, jetStreamOf(server, s))
		}
		if n > 1 {
			lines = append(lines, clusterOf(i, servers, s.Route))
		}
		testkit.NoError(t, os.WriteFile(server.config, []byte(strings.Join(append(lines, s.Extra), "\n")+"\n"), 0o600))
		c.Servers = append(c.Servers, server)
		server.Start()
	}
	// New servers that do not find each other are not waited for: somebody else may have a port of theirs.
	const most = 25 * time.Second
	for _, server := range c.Servers {
		if !s.Begun && !server.healthy(most) {
			for _, other := range c.Servers {
				other.Kill()
			}
			return nil
		}
	}
	return c
}

// jetStreamOf is the part of a server's configuration about what it stores.
func jetStreamOf(server *Server, s Settings) string {
	limit := ""
	if s.MaxStore != "" {
		limit = ", max_file_store: " + s.MaxStore
	}
	return fmt.Sprintf("jetstream {store_dir: %q, sync_interval: always%s}", server.Dir, limit)
}

// clusterOf is the part of a server's configuration about the others.
func clusterOf(server int, listens []string, route func(from, to int, addr string) string) string {
	advertise := ""
	if route != nil {
		advertise = "advertise: \"127.0.0.1:1\", " // or they would find each other without what is between them
	}
	var routes []string
	for i, addr := range listens {
		if route != nil && i != server {
			addr = route(server, i, addr)
		}
		routes = append(routes, "nats://"+addr)
	}
	return fmt.Sprintf("cluster {name: test, listen: %s, %sroutes: [%s], no_advertise: true}", listens[server], advertise, strings.Join(routes, ", "))
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

// Leader is the number of the server that leads the cluster, which places streams and consumers.
func (c *Cluster) Leader(t testing.TB) (server int) {
	t.Helper()
	testkit.Eventually(t, "the cluster has a leader", func() bool {
		answer, err := http.Get("http://" + c.Servers[0].monitor + "/jsz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var about struct {
			Meta struct{ Leader string } `json:"meta_cluster"`
		}
		if json.NewDecoder(answer.Body).Decode(&about) != nil {
			return false
		}
		server = slices.IndexFunc(c.Servers, func(s *Server) bool { return s.Name == about.Meta.Leader })
		return server >= 0
	})
	return server
}

// WaitHealthy waits until the server says that it can be used, JetStream too.
func (s *Server) WaitHealthy() {
	s.t.Helper()
	if !s.healthy(testkit.Timeout) {
		s.t.Fatalf("server %s has ended, or cannot be used within %v: %s", s.Addr, testkit.Timeout, &s.Log)
	}
}

// healthy returns false if the server ends before it can be used, or that takes too long.
func (s *Server) healthy(most time.Duration) bool {
	ended := s.Ended()
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if s.Health() == http.StatusOK {
			return true
		}
	}
	return false
}

// Health is the status with which the server tells whether it can be used; 0 where it does not
// answer.
func (s *Server) Health() int {
	answer, err := http.Get("http://" + s.monitor + "/healthz")
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}
