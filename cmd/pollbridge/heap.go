package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const heapChecks = time.Second // a heap may grow by 100 MB in it

// fitHeap bounds the memory that waits to be collected to three tenths of what is alive. What is
// remembered is long-lived, so that costs little; but a small heap is given room, or what
// passes through would be slowed down by collections. GOGC in the environment decides
// instead.
func fitHeap() {
	const room, least, most = 64 << 20, 30, 200
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	percent := min(most, max(least, room*100/max(1, sample[0].Value.Uint64())))
	if now := sample[1].Value.Uint64(); max(now, percent)-min(now, percent) > now/8 { // to set it stops everything for a moment
		debug.SetGCPercent(int(percent))
	}
}
