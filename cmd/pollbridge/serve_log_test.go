package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestTheLastLinesAreLogged: none is lost when the program stops.
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
	p.Signal(syscall.SIGTERM)
	testkit.Eventually(t, "it drains", func() bool {
		status, body := ask("GET", p.private+"/readyz", "")
		return status == 503 && strings.Contains(body, "draining")
	})
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("the request that was in flight = %d; want 200", status)
	}
	<-p.Ended()
	log := p.Log.String()
	for _, line := range []string{"msg=draining", "path=/last status=200"} {
		if strings.Count(log, line) != 1 {
			t.Errorf("%d lines with %q; want 1", strings.Count(log, line), line)
		}
	}
	if !strings.HasSuffix(log, "\n") {
		t.Errorf("the last line is cut off: %.100q", log[max(0, len(log)-100):])
	}
}

// launchWithPipe starts "serve" with a pipe for standard error, of which lines has been
// read as far as the line that says where it serves.
func launchWithPipe(t *testing.T) (p *process, reader *os.File, lines *bufio.Reader) {
	t.Helper()
	upstream := testkit.Serve(t, http.NotFoundHandler())
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	c := command(t, nil, "serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	c.Stderr = writer // itself: no goroutine reads for it
	p = beginCommand(t, c)
	writer.Close()
	reader.SetReadDeadline(time.Now().Add(testkit.Timeout))
	for lines = bufio.NewReader(reader); p.public == ""; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the log ends before it serves: %v", err)
		}
		if found := served.FindStringSubmatch(line); found != nil {
			p.public, p.private = "http://"+found[1], "http://"+found[2]
		}
	}
	return p, reader, lines
}

// passThrough makes requests of which each is a line of the log, and returns how many
// were answered.
func passThrough(t *testing.T, p *process, requests int) int {
	var answered, asked atomic.Int64
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for asked.Add(1) <= int64(requests) {
				response, err := client.Get(p.public + "/a/path/that/makes/the/line/longer")
				if err != nil {
					t.Errorf("a request: %v", err)
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode == 404 {
					answered.Add(1)
				}
			}
		})
	}
	asking.Wait()
	return int(answered.Load())
}

// droppedLines is what the metric says.
func droppedLines(t *testing.T, p *process) (dropped float64) {
	t.Helper()
	_, metrics := ask("GET", p.private+"/metrics", "")
	for line := range strings.Lines(metrics) {
		if value, found := strings.CutPrefix(line, "pollbridge_log_lines_dropped_total "); found {
			fmt.Sscan(value, &dropped)
			return dropped
		}
	}
	t.Fatal("the metrics lack pollbridge_log_lines_dropped_total")
	return 0
}

// TestALogThatNobodyReads: a full pipe stalls neither clients nor the end of the program.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	p, _, lines := launchWithPipe(t)
	const requests = 15_000
	if answered := passThrough(t, p, requests); answered != requests {
		t.Errorf("%d of %d requests were answered while nobody read the log", answered, requests)
	}
	dropped := droppedLines(t, p)
	if dropped == 0 {
		t.Error("no line was dropped; the pipe was to be full")
	}
	report := fmt.Sprintf(`msg="log lines were dropped: they were not read in time" lines=%v`, dropped)
	for seen := false; !seen; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the log ends without %q: %v", report, err)
		}
		if !strings.HasPrefix(line, "time=") {
			t.Fatalf("the log has a broken line: %q", line)
		}
		seen = strings.Contains(line, report)
	}
	passThrough(t, p, requests) // and it is full again
	if code, took := p.terminate(); code != 0 || took > 5*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v; want 0 at once", code, took)
	}
}

// TestALogThatWasClosed: nobody is told, and nothing ends.
func TestALogThatWasClosed(t *testing.T) {
	t.Parallel()
	p, reader, _ := launchWithPipe(t)
	reader.Close()
	const requests = 200
	if answered := passThrough(t, p, requests); answered != requests {
		t.Errorf("%d of %d requests were answered after the log was closed", answered, requests)
	}
	testkit.Eventually(t, "the lines count as dropped", func() bool { return droppedLines(t, p) >= requests })
	if code, took := p.terminate(); code != 0 || took > 5*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v; want 0 at once", code, took)
	}
}

// TestAFailureThatNobodyReads: why the program ends must not keep it from ending.
func TestAFailureThatNobodyReads(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	writer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = writer.Write(make([]byte, 4096)) // until it is full
	}
	c := command(t, nil, "serve", "--upstream", "http://127.0.0.1:1", "--admin-listen", "127.0.0.1:0", "--listen", taken.Addr().String())
	c.Stderr = writer
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
	defer timer.Stop()
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d; want %d", code, exitFailed)
	}
}

// TestOpenKeysAreWarnedOf: each file of a key that everybody can read is named, with
// what to do.
func TestOpenKeysAreWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes here")
	}
	url, _, _ := standIn(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	c := testkit.NewCertificate(t)
	config := filepath.Join(dir, "tls.yaml")
	if err := os.WriteFile(config, []byte("tls: {cert_file: "+c.CertFile+", key_file: "+c.KeyFile+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	storeKey := filepath.Join(dir, "key")
	if err := os.WriteFile(storeKey, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, url, "--config", config, "--data-dir", data)
	if log := p.Log.String(); strings.Contains(log, "read this key file") {
		t.Errorf("keys of this user alone are warned of:\n%s", log)
	}
	p.terminate()
	keys := []string{filepath.Join(data, "store.key"), filepath.Join(data, "admin.key"), c.KeyFile}
	for _, path := range keys {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p = launch(t, url, "--config", config, "--data-dir", data)
	for _, path := range keys {
		if log := p.Log.String(); !strings.Contains(log, "file="+path+" mode=-rw-r--r--\n") {
			t.Errorf("%s, which everybody can read, is not named:\n%s", path, log)
		}
	}
	if err := os.Chmod(storeKey, 0o604); err != nil {
		t.Fatal(err)
	}
	p = begin(t, []string{"POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + storeKey}, "serve", "--upstream", url, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	if log := p.Log.String(); !strings.Contains(log, "file="+storeKey) {
		t.Errorf("%s, which everybody can read, is not named:\n%s", storeKey, log)
	}
}
