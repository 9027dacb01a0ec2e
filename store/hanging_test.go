package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// hanging opens a store that syncs each write, also on a disk that may hang.
func hanging(t *testing.T) (whole *teststore.Store, s *store.Store, disk *teststore.Hanging) {
	t.Helper()
	cfg := config(t.TempDir())
	cfg.Engine.Sync = engine.SyncAlways
	whole, _ = open(t, cfg)
	s, disk, err := whole.OpenHanging(testkit.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(disk.CloseConn)
	t.Cleanup(s.Close)
	t.Cleanup(func() { disk.Hang(false) })
	return whole, s, disk
}

// waits wants f to wait for its time and no longer.
func waits(t *testing.T, most time.Duration, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 3*time.Second {
		t.Errorf("%v after %v; want the end of %v", err, took, most)
	}
}

// TestWhoWritesForOthersLeaves when its own time is over, as they do, though the disk hangs.
func TestWhoWritesForOthersLeaves(t *testing.T) {
	t.Parallel()
	_, s, disk := hanging(t)
	things := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	disk.Hang(true)
	var writing sync.WaitGroup
	for i := range 100 {
		writing.Go(func() {
			waits(t, time.Second, func(ctx context.Context) error {
				_, err := things.Put(ctx, fmt.Sprint("key-", i), []byte("1"), 0)
				return err
			})
		})
	}
	writing.Wait()
}

// TestLargeBodyOnAHangingDisk: nobody is held up for longer than they wait so that what was stored
// of it can be taken back.
func TestLargeBodyOnAHangingDisk(t *testing.T) {
	t.Parallel()
	_, s, disk := hanging(t)
	b := testkit.Must(s.Bodies(testkit.Within(t)))(t)
	left := 5 << 20
	disk.HangWhen(func(asked []byte) bool { left -= len(asked); return left <= 0 })
	waits(t, time.Second, func(ctx context.Context) error {
		return b.Keep(ctx, store.Body{Owner: s.ID("own_", "o"), Name: s.Hash("a"), Made: time.Now(), Body: bytes.Repeat([]byte("d"), 10<<20)})
	})
}

// TestAllHasGoneBeforeItIsRead: what was there when reading began, and is not handed out any more,
// is not waited for.
func TestAllHasGoneBeforeItIsRead(t *testing.T) {
	t.Parallel()
	whole, s, disk := hanging(t)
	b := testkit.Must(s.Bodies(testkit.Within(t)))(t)
	body := document(whole, "o", "a", 1)
	keep(t, b, body)
	disk.HangWhen(func(asked []byte) bool { return bytes.Contains(asked, []byte("CONSUMER.MSG.NEXT")) })
	read, found := make(chan error), 0
	go func() {
		read <- b.Recent(testkit.Within(t), time.Minute, func(string) bool { return true }, func(*store.Stored) { found++ })
	}()
	testkit.Eventually(t, "it is about to be handed out", disk.Hangs)
	testkit.NoError(t, bodies(t, whole).Forget(testkit.Within(t), body.Owner))
	disk.Hang(false)
	testkit.NoError(t, testkit.Receive(t, "all is read", read))
	if found != 0 {
		t.Errorf("%d are read; want none", found)
	}
}
