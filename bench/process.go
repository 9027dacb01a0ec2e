package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a server may take over its own shutdown before it is
// killed; pollbridge promises ten seconds.
const stopGrace = 12 * time.Second

// A process is a server that the lab started. Its output goes to a file in
// its folder and is shown if it fails.
type process struct {
	name   string
	pid    int
	output string

	stopOnce sync.Once
	stopErr  error
	exited   chan struct{}
	exitErr  error // valid once exited is closed
}

// start runs a command with dir as its folder. The process is stopped by its
// stop method or when the lab closes.
func (l *lab) start(name, dir string, argv, env []string) (*process, error) {
	output := filepath.Join(dir, "output.log")
	file, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own handle

	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, output: output, exited: make(chan struct{})}
	go func() {
		p.exitErr = cmd.Wait()
		close(p.exited)
	}()
	l.onClose(p.stop)
	return p, nil
}

// stop asks the process to end and kills its group if it does not. Calling it
// again waits for the first call and returns the same.
func (p *process) stop() error {
	p.stopOnce.Do(func() {
		select {
		case <-p.exited: // its pid may belong to somebody else by now
			return
		default:
		}
		p.stopErr = p.terminate()
	})
	return p.stopErr
}

func (p *process) terminate() error {
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopGrace):
	}
	// The group is the child's own, so nobody else is in it.
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.exited
	return fmt.Errorf("stop %s: still running %s after SIGTERM, killed", p.name, stopGrace)
}

// kill ends the process as a crash does. Nothing else of its group is left behind.
func (p *process) kill() error {
	if err := p.dead(); err != nil {
		return err
	}
	if err := syscall.Kill(-p.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

// dead tells why a process that should be running is not, or nil.
func (p *process) dead() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended by itself (%v):\n%s", p.name, p.exitErr, p.lastOutput())
	default:
		return nil
	}
}

// lastOutput returns the end of what the process printed.
func (p *process) lastOutput() string {
	const most = 2000
	text, _ := os.ReadFile(p.output)
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return string(bytes.TrimSpace(text))
}

// environmentWithout returns the environment less the variables that begin
// with prefix.
func environmentWithout(prefix string) []string {
	var kept []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, prefix) {
			kept = append(kept, entry)
		}
	}
	return kept
}
