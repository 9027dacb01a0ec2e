package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// TestFullDisk: polls are answered while there is no room, and all is well when there
// is some again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.FileSize = 8 << 10 })
	r := newWebhookReceiver(t, nil)
	d := prepareDurable(t, upstream, webhookSettings(r, ""))
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	d.start()
	id := d.subscribe(r)
	filler := filepath.Join(d.dir, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1 << 20, 1 << 12, 1} {
		for block := make([]byte, size); err == nil; {
			_, err = file.Write(block)
		}
		err = nil
	}
	file.Close()
	// Small things may fit into what is left of a block.
	for i := 0; ; i++ {
		status, text := ask("PATCH", d.private+"/v1/subscriptions/"+id, fmt.Sprintf(`{"description":"%d"}`, i), "Authorization: Bearer "+managementKey, "Content-Type: application/json")
		if status == 503 {
			break
		}
		if status != 200 || i > 1000 {
			t.Fatalf("change %d on a full disk is answered %d %s", i, status, text)
		}
	}
	withoutStore(t, d, sim, r.URL)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "readyz is 200", func() bool { status, _ := ask("GET", d.private+"/readyz", ""); return status == 200 })
	token := startSigning(t, d.process, "sesame-1")
	if err := sim.Finish(token, simulator.Succeeded); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "what is signed afterwards is told of", func() bool { return len(r.finals()[token]) == 1 })
	if code, took := d.terminate(); code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v", code, took)
	}
}

// TestFrozenDisk: one that takes nothing, though it is neither full nor gone, holds nobody up for
// longer than is promised; readyz tells, and what was answered is stored and told of when it goes on.
func TestFrozenDisk(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.FileSize = 300 << 10 })
	r := newWebhookReceiver(t, nil)
	d := prepareDurable(t, upstream, webhookSettings(r, ""))
	freeze := ownDisk(t, d.dir)
	d.start()
	d.subscribe(r)
	tokens := []string{startSigning(t, d.process, "sesame-1"), startSigning(t, d.process, "sesame-1")}
	poll := func(token string) (int, string) {
		return ask("POST", d.public+"/smartid/sign/status/"+token+".json", someBody)
	}
	if status, text := poll(tokens[0]); status != 200 || !strings.Contains(text, "waiting") {
		t.Fatalf("a poll is answered %d %.100s", status, text)
	}
	freeze(true)
	for _, token := range tokens { // the second one was not seen before
		testkit.NoError(t, sim.Finish(token, simulator.Succeeded))
		const most = 8 * time.Second // five for the store, and those of the test itself
		testkit.Eventually(t, "the upstream's answer", func() bool {
			began := time.Now()
			status, text := poll(token)
			if took := time.Since(began); status != 200 || took > most {
				t.Errorf("a poll is answered %d after %v; want 200 within %v", status, took, most)
			}
			return strings.Contains(text, `"ok"`)
		})
	}
	testkit.Eventually(t, "readyz is 503", func() bool { status, _ := ask("GET", d.private+"/readyz", ""); return status == 503 })
	if status, text := ask("GET", d.private+"/metrics", ""); status != 200 || !strings.Contains(text, "pollbridge_finals_not_stored 2") {
		t.Errorf("metrics are answered %d %s", status, text)
	}
	freeze(false)
	testkit.Eventually(t, "readyz is 200", func() bool { status, _ := ask("GET", d.private+"/readyz", ""); return status == 200 })
	for _, token := range tokens {
		testkit.Eventually(t, "what was signed meanwhile is told of", func() bool { return len(r.finals()[token]) == 1 })
	}
	if code, took := d.terminate(); code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v", code, took)
	}
}

// ownDisk has a directory be a file system of its own, and returns what freezes it, or ends that.
func ownDisk(t *testing.T, dir string) (freeze func(bool)) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	testkit.NoError(t, os.WriteFile(image, nil, 0o600))
	testkit.NoError(t, os.Truncate(image, 256<<20))
	testkit.NoError(t, os.MkdirAll(dir, 0o700))
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("a file system of its own cannot be mounted here: %v: %v: %s", command[0], err, out)
		}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	frozen := false
	freeze = func(on bool) {
		t.Helper()
		if on == frozen {
			return
		}
		how := map[bool]string{true: "-f", false: "-u"}[on]
		if out, err := exec.Command("fsfreeze", how, dir).CombinedOutput(); err != nil {
			t.Fatalf("fsfreeze: %v: %s", err, out)
		}
		if frozen = on; on {
			t.Cleanup(func() { freeze(false) }) // before the process is ended: it could not be
		}
	}
	return freeze
}
