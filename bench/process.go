package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a server may take over its own shutdown before it is
// killed; pollbridge promises ten seconds.
const stopGrace = 12 * time.Second

// A process is a server that the bench started. Its output goes to a file in
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
// stop method or when the bench closes.
func (b *bench) start(name, dir string, argv, env []string) (*process, error) {
	output := filepath.Join(dir, "output.log")
	file, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
	b.onClose(p.stop)
	return p, nil
}

// childAttributes puts a child into a group of its own, so that Ctrl-C reaches
// the bench alone, which then stops its children in order; and has the kernel
// end the child should the bench be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// stop asks the process to end and kills its group if it does not. Calling it
// again waits for the first call and returns the same.
func (p *process) stop() error {
	p.stopOnce.Do(func() {
		if p.dead() == nil { // else its pid may belong to somebody else by now
			p.stopErr = p.terminate()
		}
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
		return errors.Join(fmt.Errorf("stop %s: still running %s after SIGTERM", p.name, stopGrace), p.kill())
	}
}

// kill ends the process and its group as a crash does.
func (p *process) kill() error {
	if err := p.dead(); err != nil {
		return err
	}
	// The group is the child's own, so nobody else is in it.
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
		text, _ := os.ReadFile(p.output)
		return fmt.Errorf("%s ended by itself (%v):\n%s", p.name, p.exitErr, tail(text))
	default:
		return nil
	}
}
