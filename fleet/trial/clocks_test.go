//go:build trial

package trial_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// skewed builds the program with a clock that is wrong by what TRIAL_CLOCK_SKEW says, in
// seconds: a copy of the standard library's time.Now adds it.
func skewed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	testkit.NoError(t, err)
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	testkit.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()"
	if strings.Count(string(text), now) == 0 {
		t.Fatal("time.Now is not what it was")
	}
	changed := strings.ReplaceAll(string(text), now, now+"\n\tsec += skew")
	changed += `
var skew = readSkew()

func readSkew() (seconds int64) {
	text, _ := syscall.Getenv("TRIAL_CLOCK_SKEW")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
		} else {
			seconds = 10*seconds + int64(c-'0')
		}
	}
	return sign * seconds
}
`
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1)
	copied := filepath.Join(dir, "time.go")
	testkit.NoError(t, os.WriteFile(copied, []byte(changed), 0o600))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: copied}})
	testkit.NoError(t, err)
	testkit.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "pollbridge")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "pollbridge/cmd/pollbridge").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// TestClocksApart: replicas whose clocks are minutes apart take over from each other, and all tell one time.
func TestClocksApart(t *testing.T) {
	l := newLab(t, 3)
	binary := skewed(t)
	for i, skew := range []string{"0", "240", "-240"} {
		r := l.replicas[i]
		r.Terminate()
		r.binary, r.env = binary, append(r.env, "TRIAL_CLOCK_SKEW="+skew)
		r.Start()
		r.ready()
		l.balanced()
	}
	tokens := l.sign(60, 4*time.Second, 15*time.Second)
	time.Sleep(2 * time.Second)
	l.replicas[1].Kill() // the one that is ahead
	late := l.delivered(tokens, moved)
	for what := range l.told() {
		if strings.Contains(what, "abandoned") {
			t.Error(what)
		}
	}
	for _, w := range l.hooks.Got() { // the servers' clock is the one of this test
		observed, err := time.Parse(time.RFC3339, fmt.Sprint(w.Data["observed_at"]))
		if off := w.At.Sub(observed).Abs(); err != nil || off > 2*time.Minute {
			t.Errorf("%s of %v, told at %v, was observed at %v, %v", w.Type, w.Data["token"], w.At, w.Data["observed_at"], err)
		}
	}
	t.Logf("the last of %d signings is told %v after its end", len(tokens), late.Round(time.Millisecond))
}
