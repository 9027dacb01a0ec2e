//go:build trial

package trial_test

import (
	"fmt"
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
	root := git(t, ".", "rev-parse", "--show-toplevel")
	changes := strings.Fields(git(t, root, "log", "--format=%H", "-G", "^"+format, "--", file))
	if len(changes) == 0 {
		t.Skip("the history of this clone does not reach to another version")
	}
	version := changes[0]
	before, err := exec.Command("git", "-C", root, "show", version+"^:"+file).Output()
	if err == nil && strings.Contains(string(before), format) {
		version += "^"
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "version.tar")
	git(t, root, "archive", "-o", archive, version)
	binary := filepath.Join(dir, "pollbridge")
	build := exec.Command("sh", "-c", fmt.Sprintf("tar -xf %q && go build -buildvcs=false -o %q ./cmd/pollbridge", archive, binary))
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", version, err, out)
	}
	t.Logf("the earlier version is %s", git(t, root, "log", "-1", "--format=%h of %cs", version))
	return binary
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		t.Skipf("git %s: %v", args[0], err)
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
