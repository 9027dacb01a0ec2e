package main

import (
	"fmt"
	"os"
	"path/filepath"
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
