package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// wrkThreads is how many threads wrk makes its requests with.
const wrkThreads = 2

// A load is a wrk script, ready to be run against any server.
type load struct {
	bench  *bench
	script string
}

// newLoad writes the script that asks for a number of sessions in turn; the path is
// a format of the session's number.
func (b *bench) newLoad(method, path string, sessions int) (*load, error) {
	dir, err := b.folder("load")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "requests.lua")
	return &load{b, script}, writeTemplate(script, map[string]any{
		"Method": method, "Path": path, "Body": statusBody, "Sessions": sessions, "Threads": wrkThreads,
	})
}

// run sends the load to an address for a time. It returns an error if that
// could not be done, not if requests failed: those are counted.
func (l *load) run(ctx context.Context, address string, d time.Duration) (loadResult, error) {
	// wrk ends by itself; the bound is for the case that it does not.
	ctx, cancel := context.WithTimeoutCause(ctx, d+30*time.Second, errors.New("wrk did not end in time"))
	defer cancel()
	cmd := exec.CommandContext(ctx, l.bench.paths[wrk],
		"-t", strconv.Itoa(wrkThreads), "-c", strconv.Itoa(l.bench.connections), "-d", fmt.Sprintf("%ds", seconds(d)),
		"-s", l.script, "--timeout", "10s", "http://"+address+"/")
	cmd.SysProcAttr = childAttributes()
	out, err := cmd.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return loadResult{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	r, err := parseLoadResult(string(out))
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, err
}

// loadResult is what wrk saw.
type loadResult struct {
	requests int64
	failed   int64 // broken or late connections, and answers of 400 and above
	took     time.Duration
	p99      time.Duration
	cpu      time.Duration // of wrk itself
}

// parseLoadResult reads the line that the script prints when wrk is done.
func parseLoadResult(output string) (r loadResult, err error) {
	const mark = "bench-summary "
	_, line, _ := strings.Cut(output, mark)
	if _, err := fmt.Sscanf(line, "requests=%d failed=%d microseconds=%d p99=%d\n", &r.requests, &r.failed, &r.took, &r.p99); err != nil {
		return loadResult{}, fmt.Errorf("wrk printed no summary: %w\n%s", err, output)
	}
	r.took *= time.Microsecond
	r.p99 *= time.Microsecond
	if r.requests == 0 || r.took <= 0 {
		return loadResult{}, fmt.Errorf("wrk completed no request: %s", line)
	}
	return r, nil
}
