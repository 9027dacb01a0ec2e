package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDemoLines(t *testing.T) {
	var out strings.Builder
	lines := newDemoDisplay(&out, os.Getenv)
	f := demoFigures{Clients: 50, Sessions: 20, Length: 30 * time.Second, Asked: 100, Sent: 25, UnderWay: 20}
	for _, elapsed := range []time.Duration{250, 900, 1000, 1250, 2100} {
		f.Elapsed = elapsed * time.Millisecond
		lines.show(f)
	}
	f.Phase, f.Breaker, f.Errors = demoRefuses, demoBreakerHalfOpen, 1
	lines.show(f)
	lines.close()
	const want = `   0 s  the upstream is up: it gets one poll a second for each signing
   1 s  asked 100, sent 25, saved 75 %, errors 0; signings 20 under way, 0 ended; webhooks 0; breaker closed
   2 s  asked 100, sent 25, saved 75 %, errors 0; signings 20 under way, 0 ended; webhooks 0; breaker closed
   2 s  the upstream is DOWN (answers 502): clients are told "waiting"

`
	if got := out.String(); got != want {
		t.Errorf("without a terminal it printed\n%swant\n%s", got, want)
	}
}

func TestDemoDisplayForAFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if display, ok := newDemoDisplay(file, os.Getenv).(*demoLines); !ok {
		t.Errorf("newDemoDisplay for a file is %T, want *demoLines", display)
	}
}

func TestDemoScreen(t *testing.T) {
	var out strings.Builder
	height := 24
	screen := &demoScreen{out: &out, size: func() (int, int, error) { return 80, height, nil }}
	shown := func(f demoFigures) string {
		out.Reset()
		screen.show(f)
		return out.String()
	}

	table := len(demoFrame(demoInOutage()))
	first := shown(demoInOutage())
	if !strings.HasPrefix(first, "\x1b[?25l\rpollbridge demo") || strings.Count(first, "\n") != table {
		t.Errorf("the first frame is %q; want the cursor hidden and %d lines", first, table)
	}
	second := shown(demoAfter())
	if !strings.HasPrefix(second, "\r"+strings.Repeat("\x1b[A", table)+"pollbridge demo") {
		t.Errorf("the second frame begins %.100q; want it %d lines further up, over the first", second, table)
	}
	if strings.Contains(second, "\x1b[2J") || strings.Count(second, "\x1b[K\r\n") != table {
		t.Errorf("the second frame is %q; want lines overwritten, not the screen cleared", second)
	}
	height = 10
	shown(demoAfter())
	if third := shown(demoAfter()); strings.Count(third, "\x1b[A") != 9 || strings.Count(third, "\n") != 9 {
		t.Errorf("in 10 rows a frame is %q; want 9 lines", third)
	}

	out.Reset()
	screen.close()
	screen.close()
	if got := out.String(); got != "\x1b[?25h\n" {
		t.Errorf("close wrote %q, want the cursor shown once", got)
	}
}

func TestDemoScreenOfUnknownSize(t *testing.T) {
	var out strings.Builder
	screen := &demoScreen{out: &out, size: func() (int, int, error) { return 0, 0, errors.New("not known") }}
	screen.show(demoInOutage())
	if want := len(demoFrame(demoInOutage())); strings.Count(out.String(), "\n") != want {
		t.Errorf("a frame is %q; want %d lines, as for 80x24", out.String(), want)
	}
}
