package main

import (
	"strings"
	"syscall"
	"testing"
)

// TestTheLastLinesAreLogged: lines wait for each other, but none is lost when the
// program stops.
func TestTheLastLinesAreLogged(t *testing.T) {
	t.Parallel()
	url, arrived, release := standIn(t)
	p := launch(t, url)
	answered := make(chan int, 1)
	go func() {
		status, _ := ask("GET", p.public+"/last", "")
		answered <- status
	}()
	<-arrived
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "it drains", func() bool {
		status, body := ask("GET", p.private+"/readyz", "")
		return status == 503 && strings.Contains(body, "draining")
	})
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("the request that was in flight = %d; want 200", status)
	}
	<-p.ended
	log := p.errors.String()
	for _, line := range []string{"msg=draining", "path=/last status=200"} {
		if strings.Count(log, line) != 1 {
			t.Errorf("%d lines with %q; want 1", strings.Count(log, line), line)
		}
	}
	if !strings.HasSuffix(log, "\n") {
		t.Errorf("the last line is cut off: %.100q", log[max(0, len(log)-100):])
	}
}

// TestTheLastLineOfAnIdleProgram: it stops sooner than lines would wait.
func TestTheLastLineOfAnIdleProgram(t *testing.T) {
	t.Parallel()
	url, _, _ := standIn(t)
	p := launch(t, url)
	if code, _ := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := p.errors.String(); !strings.Contains(log, "msg=draining") {
		t.Error("the log lacks the line of its end")
	}
}
