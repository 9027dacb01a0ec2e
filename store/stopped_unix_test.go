//go:build unix

package store_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestAStoppedProcess stands still (SIGSTOP), and its connection does not end. What it has goes
// to others, also what is handed to it when it stands already.
func TestAStoppedProcess(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	q, _ := o.process(2 * time.Second)
	child := exec.CommandContext(testkit.Within(t), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+o.dir, childServer+"="+*o.address.Load())
	output := testkit.Must(child.StdoutPipe())(t)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	lines := bufio.NewScanner(output)
	names := numbers(8)
	add(t, q, "a", names[:4]...)
	for range 4 {
		if !lines.Scan() || strings.HasPrefix(lines.Text(), "failed") {
			t.Fatalf("the process says %q", lines.Text())
		}
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	add(t, q, "a", names[4:]...) // what it has asked for
	begun := time.Now()
	items, _ := take(t, q, "a", 10)
	for came := map[string]bool{}; len(came) < len(names); {
		item := testkit.Receive(t, "an item", items)
		came[item.Name] = true
		done(t, item)
	}
	t.Logf("all came after %s", time.Since(begun))
	waiting(t, q, "", 0, 0)
}
