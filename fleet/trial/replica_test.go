//go:build fleet

package trial_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// replica is a process of the program.
type replica struct {
	public, private string // HOST:PORT
	t               *testing.T
	log             string // its file
	env             []string
	binary          string // another program than the others run, if there is one

	mu   sync.Mutex
	cmd  *exec.Cmd // guarded by mu; nil while it does not run
	done chan struct{}
}

const managementKey = "kkkkkkkkkkkkkkkkkkkk"

// program builds the program once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pollbridge-trial")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "pollbridge")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", "fleet", "-o", binary, "pollbridge/cmd/pollbridge").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// start starts a replica that does not run.
func (r *replica) start() {
	r.t.Helper()
	binary, err := program()
	if r.binary != "" {
		binary = r.binary
	}
	testkit.NoError(r.t, err)
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	testkit.NoError(r.t, err)
	defer log.Close()
	cmd := exec.Command(binary, "serve")
	cmd.Env, cmd.Stderr, cmd.Dir = append(os.Environ(), r.env...), log, filepath.Dir(r.log)
	testkit.NoError(r.t, cmd.Start())
	done := make(chan struct{})
	r.mu.Lock()
	r.cmd, r.done = cmd, done
	r.mu.Unlock()
	go func() { defer close(done); cmd.Wait() }()
}

func (r *replica) ready() {
	r.t.Helper()
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	testkit.Eventually(r.t, "the replica is ready", func() bool {
		select {
		case <-done:
			r.t.Fatalf("the replica has ended: %s", r.text())
		default:
		}
		status, _ := r.call("GET", "/readyz", nil)
		return status == 200
	})
}

func (r *replica) text() string {
	text, _ := os.ReadFile(r.log)
	return string(text)
}

func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		r.cmd.Process.Signal(s)
	}
}

// kill ends the replica without a word, drain in good order.
func (r *replica) kill()  { r.end(syscall.SIGKILL) }
func (r *replica) drain() { r.end(syscall.SIGTERM) }

func (r *replica) end(s syscall.Signal) {
	r.signal(s)
	r.mu.Lock()
	done := r.done
	r.cmd = nil
	r.mu.Unlock()
	if done != nil {
		<-done
	}
}

// running reports whether the process runs.
func (r *replica) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cmd != nil
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call calls the management API; the status is 0 where there is no answer.
func (r *replica) call(method, path string, body []byte) (status int, answer string) {
	return do(method, "http://"+r.private+path, body, "Bearer "+managementKey)
}

func do(method, url string, body []byte, authorization string) (status int, answer string) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// poll asks for the state of a signing at an address.
func poll(address, token string) (status int, answer string) {
	return do("POST", "http://"+address+"/smartid/sign/status/"+token+".json", []byte(`{"access_token":"sesame"}`), "")
}
