//go:build trial

package trial_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// replica is a process of the program.
type replica struct {
	*testkit.Process
	public, private string // HOST:PORT
	t               *testing.T
	env             []string
	binary          string // another program than the others run, if there is one
}

const managementKey = "kkkkkkkkkkkkkkkkkkkk"

// programs is a folder for what is built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "pollbridge-trial"); err != nil {
		panic(err)
	}
	full = os.Getenv("POLLBRIDGE_TRIAL") == "full"
	os.Unsetenv("POLLBRIDGE_TRIAL") // a replica refuses what it does not know
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// program builds the program once.
var program = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(programs, "pollbridge")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "pollbridge/cmd/pollbridge").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// command is what is started.
func (r *replica) command() *exec.Cmd {
	binary, err := program()
	if r.binary != "" {
		binary = r.binary
	}
	testkit.NoError(r.t, err)
	cmd := exec.Command(binary, "serve")
	cmd.Env, cmd.Dir = append(os.Environ(), r.env...), r.t.TempDir()
	return cmd
}

func (r *replica) ready() {
	r.t.Helper()
	ended := r.Ended()
	testkit.Eventually(r.t, "the replica is ready", func() bool {
		select {
		case <-ended:
			r.t.Fatalf("the replica has ended: %s", &r.Log)
		default:
		}
		status, _ := r.call("GET", "/readyz", nil)
		return status == 200
	})
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call calls the management API; the status is 0 where there is no answer.
func (r *replica) call(method, path string, body []byte) (status int, answer string) {
	return do(method, "http://"+r.private+path, body, "Bearer "+managementKey)
}

// nothingWaits waits until no final answer waits to be stored.
func (r *replica) nothingWaits() {
	r.t.Helper()
	testkit.Eventually(r.t, "no final answer waits to be stored", func() bool {
		_, metrics := r.call("GET", "/metrics", nil)
		return strings.Contains(metrics, "pollbridge_finals_not_stored 0\n")
	})
}

// idOf is the id of what the management API has answered; empty where it has none.
func idOf(answer string) string {
	var known struct{ ID string }
	json.Unmarshal([]byte(answer), &known)
	return known.ID
}

// replicas returns the shares of those that the replica knows of.
func (r *replica) replicas() (shares []float64) {
	_, answer := r.call("GET", "/v1/replicas", nil)
	var list struct{ Items []struct{ Share float64 } }
	if json.Unmarshal([]byte(answer), &list) != nil {
		return nil
	}
	for _, each := range list.Items {
		shares = append(shares, each.Share)
	}
	return shares
}

func do(method, url string, body []byte, authorization string) (status int, answer string) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return send(request)
}

// send returns what is answered; the status is 0 where there is no answer.
func send(request *http.Request) (status int, answer string) {
	request.Header.Set("Content-Type", "application/json")
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
func poll(address, token string) (status int, answer string) { return pollFor(address, token, 0) }

// pollFor is poll by somebody who waits for news.
func pollFor(address, token string, wait time.Duration) (status int, answer string) {
	request, err := http.NewRequest("POST", "http://"+address+"/smartid/sign/status/"+token+".json", strings.NewReader(`{"access_token":"sesame"}`))
	if err != nil {
		return 0, err.Error()
	}
	if wait > 0 {
		request.Header.Set("Prefer", fmt.Sprint("wait=", wait.Seconds()))
	}
	return send(request)
}
