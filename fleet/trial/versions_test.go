//go:build trial

package trial_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// earlier builds the last version that stores in a lower format than this one; for as long as there is no
// such version, the first that stores in the same.
func earlier(t *testing.T) string {
	t.Helper()
	const file, format = "store/format.go", "const Format = "
	top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skipf("there is no history: %v", err)
	}
	root := strings.TrimSpace(string(top))
	if git(t, root, "rev-parse", "--is-shallow-repository") == "true" {
		t.Skip("the history of this clone does not reach to another version")
	}
	version := strings.Fields(git(t, root, "log", "--format=%H", "-G", "^"+format, "--", file))[0]
	before, err := exec.Command("git", "-C", root, "show", version+"^:"+file).Output()
	if err == nil && strings.Contains(string(before), format) {
		version += "^"
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "version.tar")
	git(t, root, "archive", "-o", archive, version)
	binary := filepath.Join(dir, "pollbridge")
	for _, command := range [][]string{{"tar", "-xf", archive}, {"go", "build", "-buildvcs=false", "-o", binary, "./cmd/pollbridge"}} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s of %s: %v: %s", command[0], version, err, out)
		}
	}
	t.Logf("the earlier version is %s", git(t, root, "log", "-1", "--format=%h of %cs", version))
	return binary
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("git %s: %v", args[0], err)
	}
	return strings.TrimSpace(string(out))
}

// TestVersionsBesideEachOther: a fleet goes back to an earlier version and on to this one again, one replica
// after the other, and neither clients nor receivers notice.
func TestVersionsBesideEachOther(t *testing.T) {
	binary := earlier(t)
	l := newLab(t, 3)
	tokens := l.sign(60, 5*time.Second, 40*time.Second)
	stop := l.pollOn(tokens)
	for _, version := range []string{binary, ""} {
		for _, r := range l.replicas {
			r.Terminate()
			r.binary = version
			r.Start()
			r.ready()
			l.balanced()
		}
	}
	late := l.delivered(tokens, moved)
	answers, wrong := stop()
	t.Logf("the last of %d signings is told %v after its end; clients were answered %v", len(tokens), late.Round(time.Millisecond), answers)
	if len(wrong) > 0 {
		t.Errorf("clients were answered wrongly: %v", wrong)
	}
	l.stored(len(tokens))
	l.neverTwoForLong(tokens, 12)
}
