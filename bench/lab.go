package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// A lab is the place of one run: its scratch folder, the tools that were
// found, and whatever was started and must be stopped.
type lab struct {
	options
	tools
	dir      string // removed by close
	progress io.Writer

	mu      sync.Mutex // guards what follows
	stops   []func() error
	started int // servers so far, to give each its own folder
}

// newLab makes the scratch folder. The caller must close the lab.
func newLab(opts options, progress io.Writer) (*lab, error) {
	dir, err := os.MkdirTemp(scratchParent(), "pollbridge-bench-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	return &lab{options: opts, dir: dir, progress: progress}, nil
}

// log tells whoever waits in front of the terminal what is going on.
func (l *lab) log(format string, args ...any) {
	fmt.Fprintf(l.progress, "# "+format+"\n", args...)
}

// folder makes a new folder in the scratch folder.
func (l *lab) folder(name string) (string, error) {
	l.mu.Lock()
	l.started++
	dir := filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, l.started))
	l.mu.Unlock()
	return dir, os.Mkdir(dir, 0o755)
}

// onClose has stop called when the lab closes, in reverse order. Stop must be
// safe to call twice, as a scenario stops its own servers earlier.
func (l *lab) onClose(stop func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stops = append(l.stops, stop)
}

// close stops what still runs and removes the scratch folder.
func (l *lab) close() error {
	l.mu.Lock()
	stops := l.stops
	l.stops = nil
	l.mu.Unlock()
	var errs []error
	for _, stop := range slices.Backward(stops) {
		errs = append(errs, stop())
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// findTools looks for the programs to compare with and builds pollbridge.
// What is missing is noted, not an error.
func (l *lab) findTools(ctx context.Context) {
	l.tools = lookTools(ctx, l)
}
