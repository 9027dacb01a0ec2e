package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSimulateFlagMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"--forget-after=-1s":           "ForgetAfter: -1s is negative",
		"--access-token=":              "AccessTokens: one of them is empty",
		"--sign-after=soon":            `"soon" is not a duration`,
		"--outcomes=won":               `"won" is not an outcome`,
		"--file-size=65MiB":            `"65MiB" is not a size; accepted: 0 to 64MiB`,
		"--failed-status=404":          `--failed-status must be one of "200","code"`,
		"--fault=hnag":                 `"hnag" is not a fault`,
		"--fault=hang,probability=2":   "probability: 2 is out of range",
		"--latency=uniform:5s..1s":     "runs backwards",
		"--fault=error429,retry=8s":    `"retry" is not an option of faults`,
		"--fault=slow,pace=quickly":    `pace: "quickly"`,
		"--outcomes=refused=1,refused": "stands twice",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // or what is accepted would be served
		var out, errOut strings.Builder
		if code := run(ctx, []string{"simulate-upstream", args}, &out, &errOut); code != exitMisused || !strings.Contains(errOut.String(), want) {
			t.Errorf("simulate-upstream %s: exit code %d, %q; want %d and %q", args, code, errOut.String(), exitMisused, want)
		}
	}
}

// simulate runs the command and returns where it serves, what it prints, and what ends it.
func simulate(t *testing.T, args ...string) (url string, printed *bufio.Reader, end func() (code int)) {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"simulate-upstream", "--listen=127.0.0.1:0"}, args...), in, io.Discard)
		in.Close()
	}()
	t.Cleanup(func() { cancel(); out.Close() })
	printed = bufio.NewReader(out)
	first, err := printed.ReadString('\n')
	url = regexp.MustCompile(`http://[0-9.:]+`).FindString(first)
	if err != nil || url == "" {
		t.Fatalf("it prints %q first, %v; want where it serves", first, err)
	}
	for range 5 { // the rest of the help
		if _, err := printed.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return url, printed, func() int { cancel(); return <-ended }
}

func simulatedCall(t *testing.T, url, body string) string {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", string(answer))
}

func TestSimulatePrintsWhatHappens(t *testing.T) {
	url, printed, end := simulate(t, "--polls", "--sign-after=1ms", "--outcomes=refused", "--failed-status=code", "--seed=1", "--access-token=one", "--access-token=two")
	started := simulatedCall(t, url+"/en/smartid/sign.json", `{"access_token":"two","type":"pdf","country":"LT","code":"50001010006"}`)
	token := regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(started)
	if token == nil {
		t.Fatalf("the start is answered %s", started)
	}
	var words []string
	read := func(until string) {
		for len(words) == 0 || words[len(words)-1] != until {
			line, err := printed.ReadString('\n')
			if err != nil {
				t.Fatalf("%v after %q", err, words)
			}
			words = append(words, strings.Fields(line)[2])
		}
	}
	read("ended") // without a poll
	if got := simulatedCall(t, url+"/en/smartid/sign/status/"+token[1]+".json", `{"access_token":"two"}`); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "40020") {
		t.Errorf("the poll is answered %s, want 400 and 40020", got)
	}
	read("collected")
	if got := strings.Join(words, " "); got != "started ended polled collected" {
		t.Errorf("printed %q", got)
	}
	if code := end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestSimulateWaitsForNoReader: a harness that never reads the output is not stalled.
func TestSimulateWaitsForNoReader(t *testing.T) {
	url, _, end := simulate(t, "--polls", "--fault=empty")
	for range 1200 {
		simulatedCall(t, url+"/smartid/status/x.json", `{"access_token":"test"}`)
	}
	began := time.Now()
	if code := end(); code != 0 || time.Since(began) > 10*time.Second {
		t.Errorf("exit code %d after %v, want 0 soon", code, time.Since(began))
	}
}
