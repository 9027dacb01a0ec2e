package testkit

import (
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// Process is a program that a test starts, ends, and may start again, each time as a process of
// its own. It is safe for concurrent use. Create it with NewProcess.
type Process struct {
	Log LogBuffer // what it has said, in all its starts

	t       testing.TB
	command func() *exec.Cmd

	mu      sync.Mutex
	cmd     *exec.Cmd     // that was started last; guarded by mu, as below
	ended   chan struct{} // closed when that has ended
	running bool          // it was started, and the test has not ended it since
}

// NewProcess returns a process that does not run yet. Each start makes a command of its own, whose
// output goes to the Log, unless the command says where to. It ends with the test.
func NewProcess(t testing.TB, command func() *exec.Cmd) *Process {
	p := &Process{t: t, command: command}
	t.Cleanup(p.Kill)
	return p
}

// StartProcess is NewProcess of one that is started once, and starts it.
func StartProcess(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := NewProcess(t, func() *exec.Cmd { return cmd })
	p.Start()
	return p
}

// Start starts a process that does not run.
func (p *Process) Start() {
	p.t.Helper()
	cmd := p.command()
	if cmd.Stdout == nil {
		cmd.Stdout = &p.Log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.Log
	}
	NoError(p.t, cmd.Start())
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended, p.running = cmd, ended, true
	p.mu.Unlock()
	go func() { defer close(ended); cmd.Wait() }()
}

// Running reports whether it was started, and the test has not ended it since. It may have ended
// by itself.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// Ended is closed when the process that was started last has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// ExitCode waits until it has ended, and returns how; -1 if a signal has ended it.
func (p *Process) ExitCode() int {
	<-p.Ended()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.ProcessState.ExitCode()
}

// PID is the id of the process that was started last, or 0 where the test has ended it.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal sends a signal to a process that runs.
func (p *Process) Signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		p.cmd.Process.Signal(signal) // it may have ended by itself
	}
}

// Kill ends a process that runs without a word, and waits until it has ended.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Terminate has a process that runs end in good order, and waits for that.
func (p *Process) Terminate() { p.end(syscall.SIGTERM) }

func (p *Process) end(signal syscall.Signal) {
	p.Signal(signal)
	p.mu.Lock()
	ended := p.ended
	p.running = false
	p.mu.Unlock()
	if ended != nil {
		<-ended
	}
}
