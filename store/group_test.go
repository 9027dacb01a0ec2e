package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// TestManyWriteAtOnce: each write has its own revision, and one that must fail fails alone,
// whether it was written by itself or with others.
func TestManyWriteAtOnce(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{engine.SyncAlways, engine.SyncInterval} {
		cfg := config(t.TempDir())
		cfg.Engine.Sync = sync
		s, shut := open(t, cfg)
		things := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
		testkit.Must(things.Create(testkit.Within(t), "key-0", []byte("before"), 0))(t)
		const writers, each = 200, 5
		revisions := writeAll(t, things, writers, each)
		if batches := testkit.Must(things.Batches(testkit.Within(t)))(t); (batches > 0) != (sync == engine.SyncAlways) {
			t.Errorf("sync %s: %d batches", sync, batches)
		}
		check := func(things *store.Bucket) {
			t.Helper()
			for i := range writers * each {
				key, want := "key-"+strconv.Itoa(i), strconv.Itoa(i)
				if i == 0 {
					want = "before"
				}
				record := testkit.Must(things.Get(testkit.Within(t), key))(t)
				if string(record.Value) != want || i > 0 && record.Revision != revisions[i] {
					t.Fatalf("sync %s: %s is %q, of revision %d; want %q, %d", sync, key, record.Value, record.Revision, want, revisions[i])
				}
			}
		}
		check(things)
		shut()
		s, _ = open(t, cfg)
		check(testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t))
	}
}

// writeAll creates records, all at once, of which the first is there already.
func writeAll(t *testing.T, things *store.Bucket, writers, each int) []uint64 {
	t.Helper()
	revisions, failed := make([]uint64, writers*each), make([]error, writers*each)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := w * each; i < (w+1)*each; i++ {
				revisions[i], failed[i] = things.Create(testkit.Within(t), fmt.Sprintf("key-%d", i), []byte(strconv.Itoa(i)), 0)
			}
		})
	}
	writing.Wait()
	for i, err := range failed {
		if want := i == 0; errors.Is(err, store.ErrConflict) != want || !want && err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	return revisions
}

// BenchmarkWrites is of records that many write at a time, each synced before it is
// acknowledged.
func BenchmarkWrites(b *testing.B) {
	for _, writers := range []int{1, 8, 32, 128, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			cfg := config(b.TempDir())
			cfg.Engine.Sync = engine.SyncAlways
			s, _ := open(b, cfg)
			things := testkit.Must(s.Bucket(testkit.Within(b), store.BucketConfig{Name: "things"}))(b)
			value := make([]byte, 300)
			b.ResetTimer()
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for i := w; i < b.N; i += writers {
						if _, err := things.Put(b.Context(), "key-"+strconv.Itoa(i), value, 0); err != nil {
							b.Error(err)
						}
					}
				})
			}
			writing.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}
