package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/internal/testkit"
)

const key = "sesame-0123456789"

// elsewhere makes connections look as if they came from another machine.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return remote{conn}, nil
}

type remote struct{ net.Conn }

func (remote) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

type server struct {
	near, far string // its URL for this machine and for others
	ready     atomic.Pointer[error]
	log       testkit.LogBuffer
}

func serve(t *testing.T, keys ...string) *server {
	t.Helper()
	s := &server{}
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "pollbridge_test_total", Help: "x"})
	registry.MustRegister(counter)
	cfg := admin.DefaultConfig()
	cfg.Keys = keys
	for i, wrap := range []func(net.Listener) net.Listener{
		func(ln net.Listener) net.Listener { return ln },
		func(ln net.Listener) net.Listener { return elsewhere{ln} },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		private, err := admin.New(cfg, admin.Options{Registry: registry, Metrics: registry, Log: s.log.Logger(slog.LevelInfo), Ready: func() error {
			if why := s.ready.Load(); why != nil {
				return *why
			}
			return nil
		}})
		testkit.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- private.Serve(wrap(ln)) }()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			defer cancel()
			if err := private.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown = %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve = %v", err)
			}
		})
		*[]*string{&s.near, &s.far}[i] = "http://" + ln.Addr().String()
		get(t, "http://"+ln.Addr().String()+"/healthz") // what is not served yet cannot be shut down
	}
	return s
}

func get(t *testing.T, url string, fields ...string) testkit.Answer {
	t.Helper()
	a := testkit.Do(t, "GET", url, "", fields...)
	testkit.NoError(t, a.Err)
	return a
}

func TestProbes(t *testing.T) {
	s := serve(t)
	for _, url := range []string{s.near, s.far} {
		if a := get(t, url+"/healthz"); a.Status != 200 || a.Body != `{"status":"ok","name":"pollbridge management API"}` {
			t.Errorf("healthz = %d %s", a.Status, a.Body)
		}
		if a := get(t, url+"/readyz"); a.Status != 200 || a.Body != `{"status":"ready"}` {
			t.Errorf("readyz = %d %s", a.Status, a.Body)
		}
	}
	why := errors.New("draining")
	s.ready.Store(&why)
	if a := get(t, s.far+"/readyz"); a.Status != 503 || a.Body != `{"status":"not ready","reason":"draining"}` {
		t.Errorf("readyz while draining = %d %s", a.Status, a.Body)
	}
	if a := get(t, s.far+"/healthz"); a.Status != 200 {
		t.Errorf("healthz while draining = %d: a probe would have the program killed", a.Status)
	}
}

func TestWhoMayLook(t *testing.T) {
	with, without := serve(t, key, "another-key-of-16"), serve(t)
	for _, test := range []struct {
		name   string
		url    string
		fields []string
		want   int
	}{
		{"this machine", with.near, nil, 200},
		{"this machine, no keys at all", without.near, nil, 200},
		{"a proxy on this machine", with.near, []string{"X-Forwarded-For: 127.0.0.1"}, 401},
		{"one that names the scheme only", with.near, []string{"X-Forwarded-Proto: https"}, 401},
		{"a proxy on this machine, in another word", with.near, []string{"Forwarded: for=192.0.2.1"}, 401},
		{"another machine", with.far, nil, 401},
		{"another machine that says it is this one", with.far, []string{"X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1"}, 401},
		{"a key", with.far, []string{"Authorization: Bearer " + key}, 200},
		{"the second key", with.far, []string{"Authorization: Bearer another-key-of-16"}, 200},
		{"the scheme in lower case", with.far, []string{"Authorization: bearer " + key}, 200},
		{"a part of a key", with.far, []string{"Authorization: Bearer " + key[:16]}, 401},
		{"more than a key", with.far, []string{"Authorization: Bearer " + key + "0"}, 401},
		{"an empty key", with.far, []string{"Authorization: Bearer "}, 401},
		{"another scheme", with.far, []string{"Authorization: Basic " + key}, 401},
		{"no scheme", with.far, []string{"Authorization: " + key}, 401},
		{"no keys at all", without.far, []string{"Authorization: Bearer " + key}, 401},
		{"no keys at all, and none given", without.far, []string{"Authorization: Bearer "}, 401},
	} {
		a := get(t, test.url+"/metrics", test.fields...)
		if a.Status != test.want {
			t.Errorf("%s: %d, want %d", test.name, a.Status, test.want)
		}
		if a.Status == 200 && !strings.Contains(a.Body, "pollbridge_test_total 0") {
			t.Errorf("%s: %.100q; want the metrics", test.name, a.Body)
		}
		if a.Status == 401 {
			wantProblem(t, test.name, a)
			if a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: WWW-Authenticate = %q", test.name, a.Header.Get("WWW-Authenticate"))
			}
			if strings.Contains(a.Body, "sesame") {
				t.Errorf("%s: %q repeats the key", test.name, a.Body)
			}
		}
	}
	t.Log("what is wrong with a key is not told")
	messages := map[string]bool{}
	for _, fields := range [][]string{nil, {"Authorization: Bearer wrong"}, {"Authorization: Bearer " + key[:16]}, {"Authorization: Basic x"}} {
		messages[get(t, with.far+"/metrics", fields...).Body] = true
	}
	if len(messages) != 1 {
		t.Errorf("denials differ: %v", messages)
	}
	if a := get(t, with.far+"/nothing"); a.Status != 401 {
		t.Errorf("an unknown path without a key: %d, want 401", a.Status)
	}
	if log := with.log.String(); strings.Contains(log, "sesame") {
		t.Errorf("the log shows a key: %s", log)
	}
}

func wantProblem(t *testing.T, what string, a testkit.Answer) {
	t.Helper()
	var problem struct {
		Title  string
		Status int
	}
	if err := json.Unmarshal([]byte(a.Body), &problem); err != nil || problem.Status != a.Status || problem.Title != http.StatusText(a.Status) {
		t.Errorf("%s: %q, %v; want a problem with status %d", what, a.Body, err, a.Status)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: Content-Type = %q, want application/problem+json", what, got)
	}
}

func TestProblems(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]int{"/nothing": 404, "/Metrics": 404, "/metrics/": 404, "/healthz/": 404} {
		a := get(t, s.near+path)
		if a.Status != want {
			t.Errorf("%s = %d, want %d", path, a.Status, want)
		}
		wantProblem(t, path, a)
	}
	response, err := http.Post(s.near+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 405 && response.StatusCode != 404 {
		t.Errorf("POST /metrics = %d", response.StatusCode)
	}
}

// TestBadRequestsEchoNothing sends what cannot be read.
func TestBadRequestsEchoNothing(t *testing.T) {
	s := serve(t, key)
	for _, raw := range []string{
		"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key + "\r\nbroken\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nAuthorization: Bearer " + key + "\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("sesame", 10_000) + "\r\n\r\n",
		"FOO /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key + "\r\nConnection: close\r\n\r\n",
		"sesame\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.far, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		go conn.Write([]byte(raw))
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) || bytes.Contains(answer, []byte("sesame")) {
			t.Errorf("%.40q… is answered %.300q; want a 4xx that repeats nothing", raw, answer)
		}
	}
	if log := s.log.String(); strings.Contains(log, "sesame") {
		t.Errorf("the log shows a key: %s", log)
	}
}
