package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/collector"
)

// scratch is a directory that goes when all tests have ended.
var scratch string

func TestMain(m *testing.M) {
	testkit.Together(6)
	var err error
	if scratch, err = os.MkdirTemp("", "pollbridge-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// program builds pollbridge once and returns its path.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "pollbridge")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// process is a running pollbridge.
type process struct {
	*testkit.Process
	t       testing.TB
	public  string // URL, known once it serves
	private string
}

// command prepares the program with nothing in its environment but what is given.
func command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, args...)
	c.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	c.Dir = t.TempDir()
	return c
}

// runProgram runs the program to its end.
func runProgram(t testing.TB, env []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	c := command(t, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	timer := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
	defer timer.Stop()
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// launch starts "serve" on free ports; it is killed when the test ends.
func launch(t testing.TB, upstream string, args ...string) *process {
	t.Helper()
	args = append([]string{"serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	p := begin(t, nil, args...)
	p.awaitServing()
	return p
}

func begin(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return beginCommand(t, command(t, env, args...))
}

// beginCommand starts a command. Its standard error, and its output unless it goes elsewhere, is shown if
// the test fails.
func beginCommand(t testing.TB, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Process: testkit.StartProcess(t, c), t: t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("standard error:\n%s", &p.Log)
		}
	})
	return p
}

var served = regexp.MustCompile(`msg="pollbridge serves".* listen=(\S+) admin=(\S+)`)

func (p *process) awaitServing() {
	p.t.Helper()
	testkit.Eventually(p.t, "the program serves", func() bool {
		found := served.FindStringSubmatch(p.Log.String())
		if found == nil {
			return false
		}
		p.public, p.private = "http://"+local(found[1]), "http://"+local(found[2])
		return true
	})
}

// local is an address at which a listener on all addresses is found.
func local(address string) string { return strings.Replace(address, "[::]", "127.0.0.1", 1) }

// terminate sends SIGTERM and returns the exit code and how long that took, without
// the time for which the machine was too busy to let anything run.
func (p *process) terminate() (code int, took time.Duration) {
	p.t.Helper()
	start, stalled := time.Now(), measureStalls()
	defer func() { took -= stalled() }()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended():
	case <-time.After(20 * time.Second):
		p.t.Fatal("the program runs on 20s after SIGTERM")
	}
	return p.ExitCode(), time.Since(start)
}

// measureStalls begins to add up how much later than due this process runs.
func measureStalls() (stop func() time.Duration) {
	quit, total := make(chan struct{}), make(chan time.Duration)
	go func() {
		const step = 20 * time.Millisecond
		var sum time.Duration
		for {
			before := time.Now()
			select {
			case <-quit:
				total <- sum
				return
			case <-time.After(step):
				sum += max(0, time.Since(before)-2*step)
			}
		}
	}()
	return func() time.Duration { close(quit); return <-total }
}

const (
	someToken  = "tok1tok2tok3Z99Z"
	someStatus = "/smartid/sign/status/" + someToken + ".json"
	someBody   = `{"access_token":"sesame-1"}`
)

// standIn is an upstream: status requests are pending, /hang never answers, anything
// else is answered when it is released.
func standIn(t testing.TB) (url string, arrived chan string, release chan struct{}) {
	arrived, release = make(chan string, 100), make(chan struct{})
	ended := make(chan struct{})
	server := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- r.URL.Path
		switch {
		case strings.HasPrefix(r.URL.Path, "/smartid/"):
		case r.URL.Path == "/hang":
			select {
			case <-ended:
			case <-r.Context().Done():
			}
			return
		default:
			select {
			case <-release:
			case <-ended:
			}
		}
		testkit.Respond(w, 200, testkit.Waiting)
	}))
	t.Cleanup(func() { close(ended) })
	return server.URL, arrived, release
}

// ask makes a request and returns its status and body, or the error.
func ask(method, url, body string, fields ...string) (int, string) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Close = true
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(whole)
}

func TestServe(t *testing.T) {
	t.Parallel()
	url, _, release := standIn(t)
	close(release)
	p := launch(t, url)
	for range 3 {
		if status, body := ask("POST", p.public+someStatus, someBody); status != 200 || body != testkit.Waiting {
			t.Errorf("poll = %d %q", status, body)
		}
	}
	if status, body := ask("GET", p.public+"/other", ""); status != 200 || body != testkit.Waiting {
		t.Errorf("pass-through = %d %q", status, body)
	}
	if status, body := ask("GET", p.private+"/healthz", ""); status != 200 {
		t.Errorf("healthz = %d %q", status, body)
	}
	if status, body := ask("GET", p.private+"/readyz", ""); status != 200 {
		t.Errorf("readyz = %d %q", status, body)
	}
	_, metrics := ask("GET", p.private+"/metrics", "")
	for _, line := range []string{
		`pollbridge_status_requests_total{endpoint="smartid-sign",result="miss"} 1`,
		`pollbridge_status_requests_total{endpoint="smartid-sign",result="hit"} 2`,
		`pollbridge_upstream_requests_total{endpoint="smartid-sign",outcome="pending"} 1`,
		`pollbridge_upstream_request_seconds_count{endpoint="smartid-sign"} 1`,
		`pollbridge_passthrough_requests_total{code="200"} 1`,
		`pollbridge_breaker_state{upstream="` + strings.TrimPrefix(url, "http://") + `"} 0`,
		"pollbridge_cache_entries ", "pollbridge_cache_bytes ", "pollbridge_watches 0", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	listen := strings.TrimPrefix(p.private, "http://")
	if code, out, errOut := runProgram(t, nil, "healthcheck", "--admin-listen", listen); code != 0 {
		t.Errorf("healthcheck = %d %q %q; want 0", code, out, errOut)
	}
	if code, _, errOut := runProgram(t, []string{"POLLBRIDGE_ADMIN_LISTEN=" + listen}, "healthcheck"); code != 0 {
		t.Errorf("healthcheck by environment = %d %q; want 0", code, errOut)
	}
	if code, took := p.terminate(); code != 0 || took > 5*time.Second {
		t.Errorf("SIGTERM while idle: exit code %d after %v, want 0 at once", code, took)
	}
	if code, _, errOut := runProgram(t, nil, "healthcheck", "--admin-listen", listen); code != 1 || errOut == "" {
		t.Errorf("healthcheck of nothing = %d %q; want 1", code, errOut)
	}
}

// TestServeWithUpstreamAlone is the command of the README, on the ports that it
// names.
func TestServeWithUpstreamAlone(t *testing.T) {
	for _, address := range []string{":8080", "127.0.0.1:8090"} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("%s is taken", address)
		}
		ln.Close()
	}
	url, _, _ := standIn(t)
	p := begin(t, nil, "serve", "--upstream", url)
	testkit.Eventually(t, "the program serves or ends", func() bool {
		select {
		case <-p.Ended():
			return true
		default:
			return served.MatchString(p.Log.String())
		}
	})
	if strings.Contains(p.Log.String(), "address already in use") {
		t.Skip("a port was taken meanwhile")
	}
	p.awaitServing()
	if status, body := ask("POST", "http://127.0.0.1:8080"+someStatus, someBody); status != 200 || body != testkit.Waiting {
		t.Errorf("poll = %d %q", status, body)
	}
	if code, _, errOut := runProgram(t, nil, "healthcheck"); code != 0 {
		t.Errorf("healthcheck = %d %q; want 0", code, errOut)
	}
	t.Log("a port that is taken is a failure, and the message names it")
	for _, args := range [][]string{{"--listen", "127.0.0.1:0"}, {"--admin-listen", "127.0.0.1:0"}} {
		code, _, errOut := runProgram(t, nil, append([]string{"serve", "--upstream", url}, args...)...)
		want := "listen tcp :8080: bind: address already in use"
		if args[0] == "--listen" {
			want = "admin.listen: listen tcp 127.0.0.1:8090: bind: address already in use"
		}
		if code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("serve %v = %d %q; want 1 with %q", args, code, errOut, want)
		}
	}
	if code, _ := p.terminate(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte("listen: nowhere\nupstram: {url: http://x}\nadmin: {keys: [sesame-short]}\ncache: {pending_ttl: soon}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  []string
		args []string
		code int
		want []string // in what is printed
	}{
		{"nothing", nil, nil, 2, []string{"Usage: pollbridge", "serve", "no command was given, and POLLBRIDGE_UPSTREAM_URL is not set"}},
		{"nothing with a bad upstream", []string{"POLLBRIDGE_UPSTREAM_URL=ftp://x"}, nil, 2, []string{"upstream.url", "ftp://x", "POLLBRIDGE_UPSTREAM_URL"}},
		{"help", nil, []string{"help"}, 0, []string{"Usage: pollbridge", "check-config"}},
		{"help about a command", nil, []string{"help", "check-config"}, 0, []string{"Usage: pollbridge check-config", "POLLBRIDGE_WEBHOOK_HEADER_HOSTS=hooks.example.com=whsec_"}},
		{"--version", nil, []string{"--version"}, 0, []string{"pollbridge ", runtime.Version()}},
		{"--help", nil, []string{"--help"}, 0, []string{"Usage: pollbridge"}},
		{"version", nil, []string{"version"}, 0, []string{"pollbridge ", runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}},
		{"an unknown command", nil, []string{"sevre"}, 2, []string{"unknown command sevre; did you mean serve?", "  check-config ", "  version "}},
		{"a secret as a command", nil, []string{"https://u:sesame@h"}, 2, []string{"not a command", "  check-config "}},
		{"a secret as an argument", nil, []string{"check-config", "https://u:sesame@h"}, 2, []string{"unexpected argument"}},
		{"a secret in the environment", []string{"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=hooks.example.com: whsec_sesame="}, []string{"check-config"}, 2,
			[]string{"webhook.header_hosts", "NAME=VALUE", "POLLBRIDGE_WEBHOOK_HEADER_HOSTS"}},
		{"spans with a password", []string{"POLLBRIDGE_TRACING_OTLP_ENDPOINT=http://u:sesame@h"}, []string{"serve", "--upstream", "http://x"}, 2, []string{"tracing.otlp_endpoint", "want a URL without user info"}},
		{"a sampler that is none", []string{"POLLBRIDGE_TRACING_OTLP_ENDPOINT=http://h", "OTEL_TRACES_SAMPLER=sesame"}, []string{"check-config", "--upstream", "http://x"}, 2, []string{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"}},
		{"a fleet without keys", []string{"POLLBRIDGE_STORE_NATS_URL=nats://u:sesame@h"}, []string{"serve", "--upstream", "http://x"}, 2,
			[]string{"store.encryption_key_file", "admin.keys", "store.nats.url is"}},
		{"an unknown flag", nil, []string{"serve", "--upstraem=x"}, 2, []string{"--upstraem"}},
		{"no upstream", nil, []string{"serve"}, 2, []string{"upstream.url", "--upstream URL", "POLLBRIDGE_UPSTREAM_URL"}},
		{"a bad upstream", nil, []string{"serve", "--upstream", "ftp://x"}, 2, []string{"upstream.url", "ftp://x", "http"}},
		{"a bad environment", []string{"POLLBRIDGE_CACHE_PENDING_TTL=never"}, []string{"serve", "--upstream", "http://x"}, 2, []string{"cache.pending_ttl", "never", "POLLBRIDGE_CACHE_PENDING_TTL"}},
		{"a missing file", nil, []string{"serve", "--config", "/does/not/exist"}, 2, []string{"/does/not/exist"}},
		{"a bad file", nil, []string{"serve", "--config", file}, 2, []string{"listen", "nowhere", "upstram", "admin.keys[0]", "cache.pending_ttl", "soon"}},
		{"healthcheck of no address", nil, []string{"healthcheck", "--admin-listen", "here"}, 1, []string{`"here"`, "HOST:PORT"}},
	} {
		code, out, errOut := runProgram(t, test.env, test.args...)
		if code != test.code {
			t.Errorf("%s: exit code %d, want %d; %s%s", test.name, code, test.code, out, errOut)
		}
		for _, part := range test.want {
			if !strings.Contains(out+errOut, part) {
				t.Errorf("%s: printed %q; want %q in it", test.name, out+errOut, part)
			}
		}
		if strings.Contains(out+errOut, "sesame") {
			t.Errorf("%s: printed a secret: %q", test.name, out+errOut)
		}
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 10 seconds")
	}
	type result struct {
		status int
		body   string
	}
	later := func(method, url, body string, fields ...string) <-chan result {
		c := make(chan result, 1)
		go func() {
			status, body := ask(method, url, body, fields...)
			c <- result{status, body}
		}()
		return c
	}
	stories := map[string]func(p *process, arrived chan string, release chan struct{}){
		"held and in flight": func(p *process, arrived chan string, release chan struct{}) {
			held := later("POST", p.public+someStatus, someBody, "Prefer: wait=60")
			<-arrived
			inFlight := later("GET", p.public+"/slow", "")
			for path := range arrived { // the held session is refreshed, too
				if path == "/slow" {
					break
				}
			}
			time.AfterFunc(500*time.Millisecond, func() { close(release) })
			code, took := p.terminate()
			if code != 0 || took > 8*time.Second {
				t.Errorf("held and in flight: exit code %d after %v", code, took)
			}
			if r := <-held; r.status != 200 || r.body != testkit.Waiting {
				t.Errorf("the held poll got %+v; want what is known", r)
			}
			if r := <-inFlight; r.status != 200 || r.body != testkit.Waiting {
				t.Errorf("the request in flight got %+v; want it finished", r)
			}
		},
		"hung": func(p *process, arrived chan string, _ chan struct{}) {
			later("GET", p.public+"/hang", "")
			<-arrived
			if code, took := p.terminate(); code != 0 || took > 10*time.Second {
				t.Errorf("hung: exit code %d after %v, want 0 within 10s", code, took)
			}
		},
		"at once": func(p *process, _ chan string, _ chan struct{}) {
			if code, took := p.terminate(); code != 0 || took > 5*time.Second {
				t.Errorf("at once: exit code %d after %v, want 0 at once", code, took)
			}
		},
		"an idle and a half-sent connection": func(p *process, _ chan string, _ chan struct{}) {
			for _, raw := range []string{"", "GET /x HTT", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nhello"} {
				conn, err := net.Dial("tcp", strings.TrimPrefix(p.public, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, raw)
			}
			if code, took := p.terminate(); code != 0 || took > 10*time.Second {
				t.Errorf("idle connections: exit code %d after %v, want 0 within 10s", code, took)
			}
		},
		"twice": func(p *process, arrived chan string, _ chan struct{}) {
			later("GET", p.public+"/hang", "")
			<-arrived
			p.Signal(syscall.SIGTERM)
			if code, took := p.terminate(); took > 10*time.Second || code != 0 && code != -1 && code != 143 {
				t.Errorf("twice: exit code %d after %v", code, took)
			}
		},
	}
	var telling sync.WaitGroup
	for _, tell := range stories {
		url, arrived, release := standIn(t)
		p := launch(t, url)
		telling.Go(func() { tell(p, arrived, release) })
	}
	telling.Wait()
}

func TestNotReadyWhileDraining(t *testing.T) {
	t.Parallel()
	url, arrived, release := standIn(t)
	p := launch(t, url)
	go ask("GET", p.public+"/slow", "")
	<-arrived
	p.Signal(syscall.SIGTERM)
	testkit.Eventually(t, "readyz is 503", func() bool {
		status, body := ask("GET", p.private+"/readyz", "")
		return status == 503 && strings.Contains(body, "draining")
	})
	if status, _ := ask("GET", p.private+"/healthz", ""); status != 200 {
		t.Errorf("healthz while draining = %d", status)
	}
	close(release)
	if code := p.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestNothingSecretIsLogged sends secrets in every place, also in requests that cannot
// be read, and looks for them in what the program wrote, counted and sent to a collector.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	url, _, release := standIn(t)
	close(release)
	config := filepath.Join(t.TempDir(), "debug.yaml")
	if err := os.WriteFile(config, []byte("log: {level: debug}\nadmin: {keys: [sesame-0123456789]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spans := collector.New(t)
	p := begin(t, []string{"POLLBRIDGE_TRACING_OTLP_ENDPOINT=" + spans.GRPC, "OTEL_EXPORTER_OTLP_HEADERS=api-key=sesame-9"},
		"serve", "--upstream", url, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config", config)
	p.awaitServing()
	ask("POST", p.public+someStatus, someBody)
	ask("POST", p.public+"/smartid/sign.json?access_token=sesame-2", `{"access_token":"sesame-1"}`, "Authorization: Bearer sesame-3", "Cookie: sid=sesame-4")
	ask("GET", p.private+"/metrics", "", "Authorization: Bearer sesame-0123456789", "X-Forwarded-For: 192.0.2.1")
	ask("GET", p.private+"/metrics", "", "Authorization: Bearer sesame-wrong", "X-Forwarded-For: 192.0.2.1")
	for _, address := range []string{p.public, p.private} {
		for _, raw := range []string{
			"POST " + someStatus + "?access_token=sesame-1 HTTP/1.1\r\nHost: h\r\nCookie: sesame-2\r\nbroken sesame-3\r\n\r\n",
			"POST " + someStatus + "?access_token=sesame-1 HTTP/1.1\r\nCookie: sesame-2\r\n\r\n",
			"POST " + someStatus + " HTTP/1.1\r\nHost: sesame-1/x@y\r\n\r\n",
			"POST " + someStatus + " HTTP/1.1\r\nHost: h\r\nContent-Length: sesame-1\r\n\r\n",
			"POST " + someStatus + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: sesame-1\r\n\r\n",
			"POST " + someStatus + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nsesame-1\r\n",
			"POST " + someStatus + " HTTP/1.1\r\nHost: h\r\nX: \x00sesame-1\r\n\r\n",
			"sesame-1 " + someStatus + " HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET /x HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("sesame-1", 5000) + "\r\n\r\n",
			someToken + "\r\nsesame-1\r\n\r\n",
		} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			go conn.Write([]byte(raw))
			r := bufio.NewReader(conn)
			if response, err := http.ReadResponse(r, nil); err == nil {
				if body, _ := io.ReadAll(response.Body); strings.Contains(string(body), "sesame") || response.StatusCode < 400 {
					t.Errorf("%.60q is answered %d %q", raw, response.StatusCode, body)
				}
			}
			conn.Close()
		}
	}
	_, metrics := ask("GET", p.private+"/metrics", "")
	if code, _ := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(spans.Spans()); n < 6 {
		t.Errorf("%d spans came; want those of two polls and of what passes through, at least", n)
	}
	for what, text := range map[string]string{"log": p.Log.String(), "metrics": metrics, "spans": spans.Text()} {
		for _, secret := range []string{"sesame", "Z99Z"} {
			for line := range strings.Lines(text) {
				if strings.Contains(line, secret) {
					t.Errorf("the %s shows %s: %.400s", what, secret, line)
				}
			}
		}
	}
}

func TestServeTLS(t *testing.T) {
	t.Parallel()
	url, _, _ := standIn(t)
	dir := t.TempDir()
	c := testkit.NewCertificate(t)
	config := filepath.Join(dir, "tls.yaml")
	if err := os.WriteFile(config, []byte("tls: {cert_file: "+c.CertFile+", key_file: "+c.KeyFile+"}\nlog: {format: json}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, nil, "serve", "--upstream", url, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config", config)
	var address string
	testkit.Eventually(t, "the program serves", func() bool {
		found := regexp.MustCompile(`"msg":"pollbridge serves".*"listen":"([^"]+)"`).FindStringSubmatch(p.Log.String())
		if found != nil {
			address = found[1]
		}
		return found != nil
	})
	if status, body := ask("POST", "https://"+address+someStatus, someBody); status != 200 || body != testkit.Waiting {
		t.Errorf("poll = %d %q", status, body)
	}
	if status, body := ask("POST", "http://"+address+someStatus, someBody); status == 200 {
		t.Errorf("without TLS = %d %q", status, body)
	}
	if code, took := p.terminate(); code != 0 || took > 8*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
}

// TestHangupIsIgnored: who tells a process to read its settings again does not mean to end
// it. Clients who are served meanwhile notice nothing.
func TestHangupIsIgnored(t *testing.T) {
	p := launch(t, "http://127.0.0.1:9")
	for range 2 {
		p.Signal(syscall.SIGHUP)
	}
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(p.Log.String(), "SIGHUP is ignored") })
	if code, _ := p.terminate(); code != 0 {
		t.Errorf("SIGTERM after SIGHUP: exit code %d; want 0", code)
	}
}

// TestHangingUpstreamLeavesTimeForTheStore: what passes through and a poll that hang use up the
// time for draining; the store is closed in good order all the same.
func TestHangingUpstreamLeavesTimeForTheStore(t *testing.T) {
	t.Parallel()
	url, arrived, _ := standIn(t)
	dir := t.TempDir()
	p := launch(t, url, "--data-dir", dir)
	go ask("GET", p.public+"/slow", "")
	<-arrived
	go ask("POST", p.public+"/mobile/sign/status/hangs.json", someBody)
	<-arrived
	p.Signal(syscall.SIGTERM)
	testkit.Eventually(t, "it drains", func() bool { return strings.Contains(p.Log.String(), "draining") })
	p.Signal(syscall.SIGHUP) // which is ignored then, too
	if code := p.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	again := launch(t, url, "--data-dir", dir)
	if strings.Contains(again.Log.String(), "unclean") {
		t.Error("the store was not closed in good order")
	}
}
