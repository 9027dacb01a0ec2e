package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A bench is one run: its options, its scratch folder, the programs that were
// found, and whatever was started and must be stopped.
type bench struct {
	options
	programs
	dir           string // removed by close
	out, progress io.Writer
	stops         []func() error
	folders       int // so far, to give each its own name
}

// newBench makes the scratch folder, on a disk, as a write has to reach one.
// The caller must close the bench.
func newBench(opts options, out, progress io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "pollbridge-bench-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	return &bench{options: opts, dir: dir, out: out, progress: progress}, nil
}

// log tells whoever waits in front of the terminal what is going on.
func (b *bench) log(format string, args ...any) {
	fmt.Fprintf(b.progress, "# "+format+"\n", args...)
}

// folder makes a new folder in the scratch folder.
func (b *bench) folder(name string) (string, error) {
	b.folders++
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), b.folders))
	return dir, os.Mkdir(dir, 0o755)
}

// onClose has stop called when the bench closes, in reverse order. Stop must be
// safe to call twice, as a scenario stops its own servers earlier.
func (b *bench) onClose(stop func() error) { b.stops = append(b.stops, stop) }

// close stops what still runs and removes the scratch folder.
func (b *bench) close() error {
	var errs []error
	for _, stop := range slices.Backward(b.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// preface says what the figures mean and what they were made with.
func (b *bench) preface() {
	fmt.Fprintf(b.out, "%d CPUs, load average %s before, TCP congestion control %s; %s.\n\n", runtime.NumCPU(), firstWord("/proc/loadavg"),
		firstWord("/proc/sys/net/ipv4/tcp_congestion_control"), strings.Join(append(b.versions, runtime.Version()), ", "))
	fmt.Fprintf(b.out, "%d rounds of %s with %d connections: medians, with the range in parentheses.\n\n", b.rounds, b.duration, b.connections)
	for _, missing := range b.missing {
		fmt.Fprintf(b.out, "%s\n\n", missing)
	}
}

// firstWord returns the first word of a file, or "unknown".
func firstWord(path string) string {
	text, _ := os.ReadFile(path)
	return strings.Fields(string(text) + " unknown")[0]
}
