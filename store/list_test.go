package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// BenchmarkListWhileWriting is a page of 200 of the newest of 16,000 records, while many write.
func BenchmarkListWhileWriting(b *testing.B) {
	for _, writers := range []int{0, 512, 4000} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			cfg := config(b.TempDir())
			cfg.Engine.Sync = engine.SyncInterval // only while they are made
			s, shut := open(b, cfg)
			things := testkit.Must(s.Bucket(testkit.Within(b), store.BucketConfig{Name: "things"}))(b)
			atATime(512, func(w int) {
				for i := w; i < 16_000; i += 512 {
					testkit.Must(things.Create(b.Context(), fmt.Sprint("key-", i), make([]byte, 300), 0))(b)
				}
			})
			shut()
			cfg.Engine.Sync = engine.SyncAlways
			s, _ = open(b, cfg)
			things = testkit.Must(s.Bucket(testkit.Within(b), store.BucketConfig{Name: "things"}))(b)
			ctx, stop := context.WithCancel(b.Context())
			var writing sync.WaitGroup
			writing.Go(func() {
				atATime(writers, func(w int) {
					for key := fmt.Sprint("key-", w); ctx.Err() == nil; {
						things.Get(ctx, key)
						things.Put(ctx, key, make([]byte, 300), 0)
					}
				})
			})
			var worst time.Duration
			for b.Loop() {
				began := time.Now()
				_, err := things.List(b.Context(), ">", 0, 200)
				testkit.NoError(b, err)
				worst = max(worst, time.Since(began))
			}
			stop()
			writing.Wait()
			b.ReportMetric(worst.Seconds(), "s/worst")
		})
	}
}

// atATime calls f so many times at a time, with a number each.
func atATime(n int, f func(int)) {
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { f(i) })
	}
	running.Wait()
}
