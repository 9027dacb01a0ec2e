package check

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// TestSizing measures what docs/fleet.md says about sizes. It checks nothing, takes a machine of
// its own for some minutes, and runs where POLLBRIDGE_SIZING is set.
func TestSizing(t *testing.T) {
	if os.Getenv("POLLBRIDGE_SIZING") == "" {
		t.Skip("POLLBRIDGE_SIZING is not set")
	}
	for _, size := range []string{"1KiB", "64KiB"} {
		t.Run("documents of "+size, func(t *testing.T) { measure(t, size) })
	}
}

func measure(t *testing.T, size string) {
	_, upstream := testkit.Simulate(t, func(c *simulator.Config) {
		testkit.NoError(t, c.SignAfter.UnmarshalText([]byte("10s")))
		testkit.NoError(t, c.FileSize.UnmarshalText([]byte(size)))
	})
	receiver := testkit.NewReceiver(t, nil)
	h := startFleet(t, upstream, receiver)
	front := "http://" + h.address("haproxy", "8080")
	var subscription struct{ Secret string }
	call(t, "POST", "http://"+h.address("haproxy", "8090")+"/v1/subscriptions", `{"url":"`+receiver.URL+`"}`, &subscription)

	idle := h.usage()
	time.Sleep(20 * time.Second) // that long is measured
	t.Logf("idle for 20 s: %s", h.usage().since(idle, 20))

	const signings = 3000
	before, begun := h.usage(), time.Now()
	limit := make(chan struct{}, 32)
	var clients sync.WaitGroup
	for range signings {
		limit <- struct{}{}
		clients.Go(func() {
			defer func() { <-limit }()
			testkit.Do(t, "POST", front+"/en/smartid/sign.json", `{"access_token":"test","type":"pdf","country":"LT","code":"50001010006"}`)
		})
	}
	clients.Wait()
	all := time.Since(begun)
	receiver.Wait(t, 2*signings) // each is pending, and then over
	t.Logf("%d signings, begun within %v, were told after %v: for each, %s", signings, all, time.Since(begun), h.usage().since(before, signings))
}

// usage is what processes have used, by service.
type usage map[string]struct {
	cpu    float64 // seconds
	memory int64   // resident bytes, now
	disk   int64   // bytes, now
}

func (h *host) usage() usage {
	h.t.Helper()
	u := usage{}
	for _, name := range append(append([]string{"haproxy"}, servers...), replicas...) {
		one := u[name]
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.running[name].PID()))
		testkit.NoError(h.t, err)
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, ticks := range fields[11:13] { // user and system, in hundredths
			n, _ := strconv.ParseFloat(ticks, 64)
			one.cpu += n / 100
		}
		pages, _ := strconv.ParseInt(fields[21], 10, 64)
		one.memory = pages * int64(os.Getpagesize())
		if dir := h.mounts(name)["/data"]; dir != "" {
			filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
				if info, infoErr := entry.Info(); err == nil && infoErr == nil && !entry.IsDir() {
					one.disk += info.Size()
				}
				return nil
			})
		}
		u[name] = one
	}
	return u
}

func (u usage) since(before usage, n float64) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(u)) {
		now, was := u[name], before[name]
		fmt.Fprintf(&text, "\n  %s: %.2f ms of CPU, %.1f KiB of disk; %d MiB resident", name, 1000*(now.cpu-was.cpu)/n, float64(now.disk-was.disk)/1024/n, now.memory>>20)
	}
	return text.String()
}
