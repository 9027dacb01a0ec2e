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
	lab    *lab
	script string
}

// pollLoad asks for the status of a number of sessions in turn.
func (l *lab) pollLoad(sessions int) (load, error) {
	return l.newLoad("poll.lua", map[string]any{
		"Sessions":    sessions,
		"Threads":     wrkThreads,
		"Prefix":      statusPrefix,
		"TokenFormat": tokenFormat,
		"Suffix":      statusSuffix,
		"Body":        statusBody,
	})
}

// getLoad gets one path.
func (l *lab) getLoad(path string) (load, error) {
	return l.newLoad("get.lua", map[string]any{"Path": path})
}

func (l *lab) newLoad(template string, values map[string]any) (load, error) {
	dir, err := l.folder("load")
	if err != nil {
		return load{}, err
	}
	script := filepath.Join(dir, template)
	return load{l, script}, writeTemplate(script, template, values)
}

// run sends the load to an address for a time. It returns an error if that
// could not be done, not if requests failed: those are counted.
func (w load) run(ctx context.Context, address string, connections int, d time.Duration) (loadResult, error) {
	// wrk ends by itself; the bound is for the case that it does not.
	ctx, cancel := context.WithTimeoutCause(ctx, d+30*time.Second, errors.New("wrk did not end in time"))
	defer cancel()
	cmd := exec.CommandContext(ctx, w.lab.wrk,
		"-t", strconv.Itoa(wrkThreads),
		"-c", strconv.Itoa(connections),
		"-d", fmt.Sprintf("%ds", int(d.Seconds())),
		"-s", w.script,
		"--timeout", "10s",
		"http://"+address+"/")
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
	took     time.Duration
	cpu      time.Duration // of wrk itself
	failed   int64         // broken or late connections, and answers of 400 and above
	p50, p99 time.Duration
}

const summaryMark = "bench-summary "

// parseLoadResult reads the line that the scripts print when wrk is done.
func parseLoadResult(output string) (loadResult, error) {
	_, line, ok := strings.Cut(output, summaryMark)
	if !ok {
		return loadResult{}, fmt.Errorf("wrk printed no summary:\n%s", output)
	}
	line, _, _ = strings.Cut(line, "\n")
	var r loadResult
	for field := range strings.FieldsSeq(line) {
		name, text, _ := strings.Cut(field, "=")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return loadResult{}, fmt.Errorf("wrk summary: %s: %w", name, err)
		}
		switch name {
		case "requests":
			r.requests = n
		case "microseconds":
			r.took = time.Duration(n) * time.Microsecond
		case "p50":
			r.p50 = time.Duration(n) * time.Microsecond
		case "p99":
			r.p99 = time.Duration(n) * time.Microsecond
		case "connect", "read", "write", "status", "timeout":
			r.failed += n
		default:
			return loadResult{}, fmt.Errorf("wrk summary: %s is unknown", name)
		}
	}
	if r.requests == 0 || r.took <= 0 {
		return loadResult{}, fmt.Errorf("wrk completed no request: %s", line)
	}
	return r, nil
}
