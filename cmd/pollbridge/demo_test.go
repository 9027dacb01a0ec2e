package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestDemoFlagMistakes(t *testing.T) {
	for _, test := range []struct {
		args string
		want []string // lines of standard error
		code int
	}{
		{"--duration=4999ms", []string{"--duration: 4.999s is too short; accepted: 5s or more, such as 30s"}, exitMisused},
		{"--clients=0", []string{"--clients: 0 is out of range; accepted: 1 to 5000"}, exitMisused},
		{"--clients=5001 --sessions=1001 --duration=-1s", []string{
			"--duration: -1s is too short", "--clients: 5001 is out of range", "--sessions: 1001 is out of range; accepted: 1 to 1000",
		}, exitMisused},
		{"--clients=many", []string{`--clients: expected a valid 64 bit int but got "many"`}, exitMisused},
		{"--log=" + filepath.Join(t.TempDir(), "no", "such", "file"), []string{"--log: ", "no such file or directory; accepted: a file that can be written"}, exitFailed},
	} {
		var out, errOut strings.Builder
		code := run(t.Context(), append([]string{"demo"}, strings.Fields(test.args)...), &out, &errOut)
		if code != test.code || out.Len() > 0 {
			t.Errorf("demo %s: exit code %d, printed %q; want %d and nothing", test.args, code, out.String(), test.code)
		}
		for _, line := range test.want {
			if !strings.Contains(errOut.String(), line) {
				t.Errorf("demo %s: standard error %q, want %q in it", test.args, errOut.String(), line)
			}
		}
	}
}

// demoRecorder is a display for tests.
type demoRecorder struct {
	shown  []demoFigures
	closed bool
}

func (r *demoRecorder) show(f demoFigures) { r.shown = append(r.shown, f) }
func (r *demoRecorder) close()             { r.closed = true }

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
	cmd := demoCmd{Duration: demoShortest, Clients: 30, Sessions: 8}
	setup, err := newDemoSetup(cmd.Duration, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer setup.stop()
	display := &demoRecorder{}
	f, err := cmd.play(t.Context(), setup, display)
	if err != nil {
		t.Fatal(err)
	}
	if f.Errors > 0 {
		t.Errorf("clients saw %d errors, the first: %s; want none", f.Errors, f.FirstError)
	}
	if f.Asked == 0 || f.Sent == 0 || f.Sent >= f.Asked {
		t.Errorf("%d polls asked, %d sent; want fewer sent than asked", f.Asked, f.Sent)
	}
	if f.AskedInOutage == 0 || f.Struck == 0 {
		t.Errorf("in the outage %d polls asked, %d calls struck; want some of both", f.AskedInOutage, f.Struck)
	}
	var answered int64
	for _, n := range f.Answers {
		answered += n
	}
	if answered != f.Asked || f.Answers[demoHit] == 0 || f.Answers[demoMiss] == 0 {
		t.Errorf("%d answers %v to %d polls; want one each, hits and misses among them", answered, f.Answers, f.Asked)
	}
	if f.Ended == 0 || f.Ended > int(setup.sim.Stats().Starts) {
		t.Errorf("%d signings ended of %d", f.Ended, setup.sim.Stats().Starts)
	}
	if f.Elapsed != cmd.Duration || f.Phase.down() {
		t.Errorf("it ended after %v in phase %d; want %v and the upstream up", f.Elapsed, f.Phase, cmd.Duration)
	}
	if !display.closed || len(display.shown) < 5 {
		t.Errorf("%d figures shown, display closed: %t; want some and true", len(display.shown), display.closed)
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
	p.once()
	return p.text.Write(b)
}

func TestDemoEndsEarly(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	log := filepath.Join(t.TempDir(), "log")
	t.Chdir(t.TempDir())
	out := &demoPrinted{once: interrupt}
	began := time.Now()
	code := run(ctx, []string{"demo", "--duration=1h", "--clients=3", "--sessions=5", "--log=" + log}, out, io.Discard)
	if code != 0 || time.Since(began) > time.Minute {
		t.Errorf("demo, interrupted: exit code %d after %v; want 0 at once", code, time.Since(began))
	}
	if printed := out.text.String(); !strings.Contains(printed, "polls by 3 clients") || !strings.Contains(printed, "pollbridge serve --upstream URL") {
		t.Errorf("demo, interrupted, printed %q; want the summary", printed)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("demo left %v in the working directory, want nothing", left)
	}
	if _, err := os.Stat(log); err != nil {
		t.Errorf("--log: %v", err)
	}
}
