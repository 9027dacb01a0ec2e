package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Names of programs, as the tables have them.
const (
	wrk        = "wrk"
	bareFiber  = "bare Fiber"
	nginx      = "nginx"
	varnish    = "Varnish"
	caddy      = "Caddy"
	pollbridge = "pollbridge"
	otherBuild = "other build" // of pollbridge
	natsServer = "nats-server"
)

// A server is a process in front of an upstream of its own.
type server struct {
	*process
	bench              *bench
	name, dir, address string // the name as the tables have it
	argv, env          []string
	upstream           *upstream
	upstreamAddress    string

	admin    string    // address of the admin listener, if it is a build of pollbridge
	receiver *receiver // of all its webhooks, if it watches sessions
}

// commands return the arguments of each server, having written what it needs.
var commands = map[string]func(s *server) ([]string, error){
	bareFiber: bareFiberArguments, nginx: nginxArguments, varnish: varnishArguments, caddy: caddyArguments,
	pollbridge: serveArguments, otherBuild: serveArguments,
}

// servers returns which of the named programs are servers and were found, and the
// builds of pollbridge.
func (b *bench) servers(names []string) []string {
	return slices.DeleteFunc(append(slices.Clone(names), pollbridge, otherBuild), func(name string) bool {
		return name == wrk || b.paths[name] == ""
	})
}

// startServer starts a server in front of an upstream and waits until it is ready.
// Settings of pollbridge, each as in STORE_SYNC=interval, are handed on by
// environment; those of the bench's own environment are not. The caller must end it.
func (b *bench) startServer(ctx context.Context, name string, a api, settings ...string) (*server, error) {
	u, err := newUpstream(a)
	if err != nil {
		return nil, err
	}
	b.onClose(u.close)
	return b.startBefore(ctx, name, u, u.address, settings...)
}

// startBefore is startServer before an upstream that is there, at one of its addresses.
func (b *bench) startBefore(ctx context.Context, name string, u *upstream, at string, settings ...string) (s *server, err error) {
	s = &server{bench: b, name: name, upstream: u, upstreamAddress: at}
	if s.dir, err = b.folder(name); err != nil {
		return nil, err
	}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	s.env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "POLLBRIDGE_") })
	s.env = append(s.env, "HOME="+s.dir)
	for _, setting := range settings {
		s.env = append(s.env, "POLLBRIDGE_"+setting)
	}
	arguments, err := commands[name](s)
	if err != nil {
		return nil, err
	}
	s.argv = append([]string{b.paths[name]}, arguments...)
	if err := s.launch(); err != nil {
		return nil, err
	}
	ready := accepts(s.address)
	if s.admin != "" {
		ready = s.isReady()
	}
	return s, s.await(ctx, time.Minute, ready) // the first replica of a fleet has much to make
}

// launch starts the process, the first time or after it ended, and does not wait
// until it is ready.
func (s *server) launch() (err error) {
	s.process, err = s.bench.start(s.name, s.dir, s.argv, s.env)
	return err
}

// end stops a server and all that was started for it. Its errors come again when the
// bench closes.
func (s *server) end() {
	_ = s.stop()
	_ = s.upstream.close()
	if s.receiver != nil {
		_ = s.receiver.close()
	}
	_ = os.RemoveAll(s.dir)
}

func bareFiberArguments(s *server) ([]string, error) {
	answer := filepath.Join(s.dir, "answer")
	return []string{bareCommand, s.address, fmt.Sprint(s.upstream.sessions), answer}, os.WriteFile(answer, s.upstream.answer, 0o600)
}

func nginxArguments(s *server) ([]string, error) {
	config := filepath.Join(s.dir, "nginx.conf")
	return []string{"-p", s.dir, "-e", "stderr", "-c", config}, writeTemplate(config, map[string]any{
		"Root": os.Geteuid() == 0, "Listen": s.address, "Upstream": s.upstreamAddress,
		"StatusPrefix": statusPrefix, "FreshFor": seconds(s.upstream.freshFor),
	})
}

func varnishArguments(s *server) ([]string, error) {
	config := filepath.Join(s.dir, "varnish.vcl")
	host, port, _ := strings.Cut(s.upstreamAddress, ":")
	// -j and -n keep it out of the system's own folders and accounts.
	return []string{"-F", "-a", s.address, "-f", config, "-j", "none", "-n", filepath.Join(s.dir, "run"), "-s", "malloc,256m"},
		writeTemplate(config, map[string]any{"Host": host, "Port": port, "FreshFor": seconds(s.upstream.freshFor)})
}

func caddyArguments(s *server) ([]string, error) {
	config := filepath.Join(s.dir, "Caddyfile")
	return []string{"run", "--config", config, "--adapter", "caddyfile"},
		writeTemplate(config, map[string]any{"Listen": s.address, "Upstream": s.upstreamAddress, "Connections": s.bench.connections})
}

func seconds(d time.Duration) int { return int(d.Seconds()) }

//go:embed templates
var templates embed.FS

// writeTemplate fills the embedded template of that name and writes it to path.
func writeTemplate(path string, values map[string]any) error {
	t, err := template.New(filepath.Base(path)).Option("missingkey=error").ParseFS(templates, "templates/"+filepath.Base(path))
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := t.Execute(&text, values); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}
