package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"

	"go.uber.org/goleak"
)

func TestDemoFlagMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"--duration=4999ms": `--duration: "4.999s": want 5s or more`, "--duration=-1s": `--duration: "-1s": want 5s or more`,
		"--clients=0": `--clients: "0": want 1 to 5000`, "--clients=5001": `--clients: "5001": want 1 to 5000`, "--clients=many": `--clients`,
		"--sessions=0": `--sessions: "0": want 1 to 1000`, "--sessions=1001": `--sessions: "1001": want 1 to 1000`,
	} {
		var out, errOut strings.Builder
		code := run(t.Context(), []string{"demo", args}, &out, &errOut)
		if code != exitMisused || out.Len() > 0 || !strings.Contains(errOut.String(), want) {
			t.Errorf("demo %s: exit code %d, printed %q and %q; want %d and %s", args, code, out.String(), errOut.String(), exitMisused, want)
		}
	}
}

// demoEngine is what the HTTP engine leaves behind: a clock that never ends, and
// cleaners that sleep for seconds before they see that there is nothing to clean.
var demoEngine = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
}

func TestDemoShowsTheProduct(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	defer goleak.VerifyNone(t, append(demoEngine, goleak.IgnoreCurrent())...)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"demo", "--duration=5s", "--clients=30", "--sessions=8"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	_, table, _ := strings.Cut(out.String(), "\npollbridge demo, 5 s: ")
	figure := func(label string) float64 {
		found := regexp.MustCompile(`(?m)^` + label + ` +([0-9.,]+)`).FindStringSubmatch(table)
		if found == nil {
			t.Fatalf("there is no %q in\n%s", label, out.String())
		}
		n, err := strconv.ParseFloat(strings.ReplaceAll(found[1], ",", ""), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if asked, sent := figure("polls asked by clients"), figure("polls sent upstream"); asked == 0 || sent == 0 || sent >= asked || figure("saved") == 0 {
		t.Errorf("%v polls asked, %v sent; want fewer sent than asked", asked, sent)
	}
	if figure("errors seen by clients") > 0 || figure("signings ended") == 0 || figure("webhooks delivered") == 0 || figure("detection delay") == 0 {
		t.Errorf("want no errors, and some of all the rest:\n%s", table)
	}
	for _, line := range []string{"the upstream is up\n", "DOWN", "the upstream is up again"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("it does not tell that %q:\n%s", line, out.String())
		}
	}
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
}

// demoPrinted calls once as soon as there is output, and keeps it.
type demoPrinted struct {
	mu   sync.Mutex
	text bytes.Buffer
	once func()
}

func (p *demoPrinted) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) > 0 {
		p.once()
	}
	return p.text.Write(b)
}

func TestDemoEndsEarly(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	t.Chdir(t.TempDir())
	out := &demoPrinted{once: interrupt}
	began := time.Now()
	code := run(ctx, []string{"demo", "--duration=1h", "--clients=3", "--sessions=5"}, out, io.Discard)
	if code != 0 || time.Since(began) > time.Minute {
		t.Errorf("demo, interrupted: exit code %d after %v; want 0 at once", code, time.Since(began))
	}
	if printed := out.text.String(); !strings.Contains(printed, "polls asked by clients") {
		t.Errorf("demo, interrupted, printed %q; want the table", printed)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("demo left %v in the working directory, want nothing", left)
	}
}

func TestDemoEndsWithAnErrorOfTheBridge(t *testing.T) {
	d := &demo{cmd: &demoCmd{Duration: time.Hour, Clients: 1, Sessions: 1}}
	defer d.stop()
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	d.bridge.failed <- broken
	if err := d.show(t.Context(), &demoTable{out: io.Discard}); !errors.Is(err, broken) {
		t.Errorf("show = %v, want what failed", err)
	}
}

// TestDemoBelievesNobody: every answer is compared with what became of the signing.
func TestDemoBelievesNobody(t *testing.T) {
	const waiting, ok, refused = `{"status":"waiting"}`, `{"status":"ok"}`, `{"status":"error","error_code":40020}`
	for _, test := range []struct {
		name    string
		outcome simulator.Outcome // Waiting: the signing is under way
		told    bool              // a client knows how it ended
		status  int
		body    string
		err     string
		ended   bool
	}{
		{"under way", simulator.Waiting, false, 200, waiting, "", false},
		{"signed", simulator.Succeeded, false, 200, ok, "", true},
		{"signed, told again", simulator.Succeeded, true, 200, ok, "", true},
		{"signed, not yet known", simulator.Succeeded, false, 200, waiting, "", false},
		{"refused", simulator.Refused, false, 200, refused, "", true},
		{"invented", simulator.Waiting, false, 200, ok, `status "ok", code 0, for a signing that is waiting`, false},
		{"another outcome", simulator.Succeeded, false, 200, refused, `status "error", code 40020, for a signing that is succeeded`, false},
		{"an error without a code", simulator.Succeeded, false, 200, `{"status":"error"}`, `status "error"`, false},
		{"forgotten again", simulator.Refused, true, 200, waiting, `status "waiting"`, true},
		{"unavailable", simulator.Waiting, false, 503, waiting, "HTTP 503", false},
		{"a page", simulator.Waiting, false, 200, "<html>", "invalid character", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, s := demoOf(t, test.outcome, test.status, test.body)
			s.told.Store(test.told)
			d.poll(t.Context(), s, "/en")
			f := d.seen
			if s.told.Load() != test.ended || f.asked != 1 || (f.errors == 1) != (test.err != "") || !strings.Contains(f.firstError, test.err) {
				t.Errorf("told %t, %d errors, %q; want %t, error %q", s.told.Load(), f.errors, f.firstError, test.ended, test.err)
			}
		})
	}
}

func TestDemoPollCutShortDoesNotCount(t *testing.T) {
	d, s := demoOf(t, simulator.Waiting, 200, "{}")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.poll(ctx, s, "/en")
	if d.seen.asked != 0 || d.seen.errors != 0 {
		t.Errorf("after the end %d polls with %d errors were counted, want none", d.seen.asked, d.seen.errors)
	}
}

// demoOf returns a demonstration in front of a server with one answer, and a signing with
// that outcome.
func demoOf(t *testing.T, outcome simulator.Outcome, status int, body string) (*demo, *demoSigning) {
	t.Helper()
	sim, err := simulator.New(simulator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	session, err := sim.Start(simulator.StartRequest{AccessToken: "demo", Outcome: outcome})
	if err != nil {
		t.Fatal(err)
	}
	path := "/smartid/sign/status/" + session.Token + ".json"
	server := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked, _ := io.ReadAll(r.Body); r.URL.Path != "/en"+path || string(asked) != `{"access_token":"demo"}` {
			t.Errorf("a poll is %s %s", r.URL.Path, asked)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	d := &demo{cmd: &demoCmd{}, sim: sim, http: server.Client(), bridge: &bridge{publicListener: server.Listener}}
	return d, &demoSigning{token: session.Token, path: path, over: make(chan struct{})}
}

func TestDemoDelayLeavesTheOutageOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := demoFigures{up: began.Add(8 * time.Second)}
		time.Sleep(10 * time.Second)
		for _, after := range []time.Duration{9, 1, 8, 5} {
			f.addDelay(&f.clientDelays, began.Add(after*time.Second))
		}
		want := []time.Duration{time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second}
		for i, d := range f.clientDelays {
			if d != want[i] {
				t.Errorf("delays %v, want %v", f.clientDelays, want)
			}
		}
	})
}

func TestDemoTableInATerminal(t *testing.T) {
	var out strings.Builder
	table := &demoTable{out: &out, terminal: true}
	f := demoFigures{asked: 12873, sent: 3311, breaker: "open", fault: simulator.Hang, elapsed: 17 * time.Second}
	shown := func(last bool) string {
		out.Reset()
		table.show(f, last)
		return out.String()
	}
	first := shown(false)
	if !strings.HasPrefix(first, "\x1b[?25l\x1b[?7l\rpollbridge demo, 17 s: the upstream is \x1b[7mDOWN\x1b[m") || !strings.Contains(first, "polls asked by clients     12,873\x1b[K\r\n") {
		t.Errorf("the first table is %q", first)
	}
	rows := strings.Count(first, "\n")
	f.clientDelays = []time.Duration{time.Second}
	last := shown(true)
	if !strings.HasPrefix(last, "\x1b[?25l\x1b[?7l\r"+strings.Repeat("\x1b[A", rows)+"pollbridge") || strings.Count(last, "\n") != rows+1 {
		t.Errorf("the next table is %q; want it over the one before, with a row more", last)
	}
	if !strings.HasSuffix(last, "\x1b[?7h\x1b[?25h") || strings.Contains(first, "\x1b[?25h") {
		t.Errorf("the last table is %q; want the terminal left as it was found, and no sooner", last)
	}
}
