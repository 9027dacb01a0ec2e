package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a running program.
type process struct {
	name     string
	log      string // its file
	cmd      *exec.Cmd
	stopping atomic.Bool
	ended    chan struct{}
}

// startProcess starts a program of the fleet's directory. Should it end before it is stopped, that is said.
func (f *fleet) startProcess(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(f.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(filepath.Join(f.dir, program), args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(os.Environ(), env...), log, log
	p.cmd.SysProcAttr = apart()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		err := p.cmd.Wait()
		if !p.stopping.Load() {
			fmt.Fprintf(f.out, "%s has ended: %v\n", name, err)
		}
	}()
	return p, nil
}

// ready waits until a replica says at its management API that it is ready.
func (p *process) ready(ctx context.Context, url string) error {
	for {
		answer, err := http.Get(url + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended before it was ready; %s says why", p.name, p.log)
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// terminate asks a process to end.
func (p *process) terminate() {
	p.stopping.Store(true)
	if p.cmd.Process.Signal(syscall.SIGTERM) != nil {
		p.cmd.Process.Kill() // where there are no signals
	}
}
