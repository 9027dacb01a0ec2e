package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// fill writes a file that takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	file := testkit.Must(os.Create(path))(t)
	defer file.Close()
	for _, size := range []int{1 << 20, 1 << 12, 1} {
		for block := make([]byte, size); ; {
			if _, err := file.Write(block); err != nil {
				break
			}
		}
	}
}

func TestFullDiskIsNoticedAndOvercome(t *testing.T) {
	t.Parallel()
	dir := small(t)
	cfg := config(filepath.Join(dir, "data"))
	cfg.Engine.Sync = engine.SyncAlways
	s, shut := open(t, cfg)
	ctx, things, q := testkit.Within(t), bucket(t, s, 0), queue(t, s, time.Hour)
	items, consumer := take(t, q, "a", 10)
	told := make(chan store.Change, 1000)
	if _, err := things.Watch(ctx, ">", func(c store.Change) { told <- c }); err != nil {
		t.Fatal(err)
	}
	add(t, q, "a", "out", "finished")
	testkit.Receive(t, "an item", items)
	finished := testkit.Receive(t, "an item", items)

	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	var kept []string
	var failure error
	var begin time.Time
	for i := 0; failure == nil; i++ {
		key := fmt.Sprint(i)
		begin = time.Now()
		if _, failure = things.Put(ctx, key, make([]byte, 3000), 0); failure == nil {
			kept = append(kept, key)
		}
		if i > 10_000 {
			t.Fatal("the disk does not become full")
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the write that failed took %s; want it to fail at once", took)
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(failure.Error(), "no space left") {
		t.Errorf("Err() = %v after %v; want both to say that there is no space", err, failure)
	}
	begin = time.Now()
	if _, err := things.Put(ctx, "other", nil, 0); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("Put on a full disk: %v after %s; want an error at once", err, time.Since(begin))
	}
	if err := finished.DoubleAck(ctx); err == nil {
		t.Error("DoubleAck on a full disk has no error")
	}
	for _, key := range kept {
		if _, err := things.Get(ctx, key); err != nil {
			t.Errorf("Get(%s) on a full disk: %v", key, err)
		}
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the store can be used again", func() bool { return s.Err() == nil })
	for _, key := range kept {
		if _, err := things.Get(ctx, key); err != nil {
			t.Errorf("Get(%s) afterwards: %v", key, err)
		}
	}
	testkit.Must(things.Put(ctx, "after", nil, 0))(t)
	for testkit.Receive(t, "the change afterwards", told).Key != "after" {
	}
	add(t, q, "a", "new")
	for names := map[string]bool{}; len(names) < 3; { // the new server hands out all that is there
		names[testkit.Receive(t, "items afterwards", items).Name] = true
	}
	consumer.Stop()
	shut()
}

// TestWhatCouldNotBeRemovedIsNotDone: the engine acknowledges that an item is done also
// when it could not write that.
func TestWhatCouldNotBeRemovedIsNotDone(t *testing.T) {
	t.Parallel()
	dir := small(t)
	cfg := config(filepath.Join(dir, "data"))
	cfg.Engine.Sync = engine.SyncAlways
	s, _ := open(t, cfg)
	q := queue(t, s, time.Hour)
	const many = 500 // one of them needs another block of the disk
	for i := range many {
		add(t, q, "a", fmt.Sprint(i))
	}
	items, _ := take(t, q, "a", 2*many)
	var out []*store.Item
	for range many {
		out = append(out, testkit.Receive(t, "an item", items))
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	finished := map[string]bool{}
	for _, item := range out {
		finished[item.Name] = item.DoubleAck(testkit.Within(t)) == nil
	}
	if n := count(finished); n == many {
		t.Fatal("all are done on a full disk")
	}
	killed := filepath.Join(t.TempDir(), "killed") // what there is if the process is killed now
	if err := os.CopyFS(killed, os.DirFS(cfg.Engine.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, config(killed))
	afterKill, _ := take(t, queue(t, s, time.Hour), "a", 2*many)
	for _, items := range []<-chan *store.Item{items, afterKill} {
		for range many - count(finished) {
			if item := testkit.Receive(t, "an item that is not done", items); finished[item.Name] {
				t.Errorf("%s was done, and is handed out again", item.Name)
			}
		}
	}
}

func TestReadOnlyDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := small(t)
	if err := makeReadOnly(dir); err != nil {
		t.Skipf("it cannot be made read-only: %v", err)
	}
	refuses(t, config(dir), syscall.EROFS, dir, "cannot be written")
}

func TestFullDiskIsRefused(t *testing.T) {
	t.Parallel()
	dir := small(t)
	fill(t, filepath.Join(dir, "filler"))
	refuses(t, config(filepath.Join(dir)), syscall.ENOSPC, dir, "cannot be written", "no space left")
}

func TestMissingDirectoryIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := open(t, config(dir))
	things := bucket(t, s, 0)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "engine"), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is noticed", func() bool { return s.Err() != nil })
	if _, err := things.Put(testkit.Within(t), "a", nil, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Put: %v; want that the directory is not there", err)
	}
	if err := os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "engine")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is there again", func() bool { return s.Err() == nil })
	testkit.Must(things.Put(testkit.Within(t), "a", nil, 0))(t)
}
