package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pollbridge/internal/testkit"
)

// openTerminal makes a terminal of so many rows: what a program has, and what is seen.
func openTerminal(t testing.TB, rows uint16) (inside *os.File, screen *testkit.LogBuffer) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	testkit.NoError(t, unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	testkit.NoError(t, err)
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	testkit.NoError(t, err)
	testkit.NoError(t, unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: 80}))
	screen = &testkit.LogBuffer{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(screen, outside) // ends when nobody has the other side any more
	}()
	t.Cleanup(func() {
		inside.Close()
		<-read
		outside.Close()
	})
	return inside, screen
}

// TestWatchingInATerminal: the table is redrawn within the screen, also when the bridge is
// away, and the terminal is left as it was found, with the last table.
func TestWatchingInATerminal(t *testing.T) {
	t.Parallel()
	r := newWebhookReceiver(t, nil)
	_, upstream := testkit.Simulate(t, nil)
	o, d := operate(t, upstream, r)
	const rows = 8
	terminal, screen := openTerminal(t, rows)
	c := command(t, append(o.env, "TERM=xterm"), "stats", "--watch", "--interval", "100ms", "--data-dir", o.dir)
	c.Stdout = terminal
	f := &following{beginCommand(t, c), screen}
	terminal.Close()
	f.await(3, "polls sent")
	d.terminate()
	f.await(1, "cannot be reached")
	f.interrupt()
	testkit.Eventually(t, "the last table is left", func() bool { return strings.Contains(screen.String(), "calls held") })
	frames := strings.Split(screen.String(), "\x1b[H")
	if !strings.HasPrefix(frames[0], "\x1b[?1049h\x1b[?25l\x1b[?7l") {
		t.Errorf("it begins with %q; want a screen of its own", frames[0])
	}
	for _, frame := range frames[1 : len(frames)-1] {
		if n := strings.Count(frame, "\n") + 1; n > rows || !strings.HasSuffix(frame, "\x1b[K\x1b[J") {
			t.Fatalf("a frame of %d rows is drawn on a screen of %d: %q", n, rows, frame)
		}
	}
	_, left, found := strings.Cut(frames[len(frames)-1], "\x1b[?7h\x1b[?25h\x1b[?1049l")
	if !found || !strings.HasPrefix(left, "version") || strings.Contains(left, "\x1b") {
		t.Errorf("it ends with %q; want the terminal as it was, and the table", frames[len(frames)-1])
	}
}
