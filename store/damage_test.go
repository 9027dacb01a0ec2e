package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

const damageRecords = 30

// TestDamagedFilesAreSurvived: whichever byte of whichever file is damaged, the store
// opens soon and has what it had, or says that something is lost.
func TestDamagedFilesAreSurvived(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server for each place of each file")
	}
	sound := t.TempDir()
	s, shut := open(t, config(sound))
	things, events, work, answers := bucket(t, s, 0), journal(t, s), queue(t, s, time.Minute), bodies(t, s)
	for i := range damageRecords {
		key := fmt.Sprint("k", i)
		testkit.Must(things.Put(testkit.Within(t), key, []byte(key), time.Hour))(t)
		testkit.Must(events.Append(testkit.Within(t), key, []byte(key), 0))(t)
		if err := errors.Join(work.Add(testkit.Within(t), "now", key, []byte(key)),
			work.AddAt(testkit.Within(t), "later", key, []byte(key), time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		keep(t, answers, bodyOf(s, key, "a", key))
	}
	shut()
	for _, path := range storedFiles(t, sound) {
		content := testkit.Must(os.ReadFile(filepath.Join(sound, path)))(t)
		for _, at := range damagePlaces(path, content) {
			for _, lock := range []string{"", "open\n"} { // closed, and killed
				t.Run(fmt.Sprint(filepath.Base(filepath.Dir(filepath.Dir(path))), ":", filepath.Base(path), ":", at, lock), func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "data")
					if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
						t.Fatal(err)
					}
					write(t, filepath.Join(dir, "lock"), []byte(lock))
					damaged := bytes.Clone(content)
					damaged[at] ^= 0x15
					write(t, filepath.Join(dir, path), damaged)
					openDamaged(t, dir)
				})
			}
		}
	}
}

func storedFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "engine"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if info, _ := entry.Info(); info.Size() > 0 {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// damagePlaces are the middle and the end of a file, or all that counts in the head of
// a record in the middle of a block.
func damagePlaces(path string, content []byte) []int {
	if filepath.Ext(path) != ".blk" {
		return []int{len(content) / 2, len(content) - 1}
	}
	at := 0
	for at < len(content)/3 {
		at += int(binary.LittleEndian.Uint32(content[at:]) &^ (1 << 31))
	}
	if at >= len(content) {
		return []int{8, len(content) - 1}
	}
	const head = 22
	subject := int(binary.LittleEndian.Uint16(content[at+20:]))
	return []int{at, at + 2, at + 4, at + 8, at + 11, at + 20, at + 60, at + head + subject}
}

func openDamaged(t *testing.T, dir string) {
	t.Helper()
	// It would not end by itself, and take all memory.
	defer time.AfterFunc(time.Minute, func() { panic("a damaged store keeps the engine busy") }).Stop()
	var log testkit.LogBuffer
	ctx := testkit.Within(t)
	s, err := teststore.Open(ctx, teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
	if err != nil {
		t.Errorf("Open: %v", err)
		return
	}
	defer s.Close()
	found, err := readAll(ctx, t, s)
	if ctx.Err() != nil {
		t.Error("reading does not end")
	}
	if err == nil && found != 5*damageRecords && !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("%d values, without an error or one in the log; want %d\n%s", found, 5*damageRecords, log.String())
	}
}

// readAll counts the values that are there, and looks at them.
func readAll(ctx context.Context, t *testing.T, s *teststore.Store) (found int, err error) {
	things, err := s.Bucket(ctx, store.BucketConfig{Name: "things"})
	if err != nil {
		return 0, err
	}
	records, err := things.List(ctx, ">", 0, 1000)
	if err != nil {
		return 0, err
	}
	for _, record := range records {
		if string(record.Value) != record.Key {
			t.Errorf("table: %+v", record)
		}
	}
	found += len(records)
	events := journal(t, s)
	end, err := events.Append(ctx, "end", []byte("end"), 0)
	if err != nil {
		return 0, err
	}
	for last := uint64(0); last < end; {
		entries, err := events.After(ctx, last, 1000)
		if err != nil || len(entries) == 0 {
			return 0, err
		}
		for _, entry := range entries {
			if string(entry.Value) != entry.Key {
				t.Errorf("journal: %+v", entry)
			}
			last = entry.Sequence
		}
		found += len(entries)
	}
	found-- // the end
	now, later, err := queue(t, s, time.Minute).Waiting(ctx, "")
	if err != nil {
		return 0, err
	}
	found += now + later
	answers, err := s.Bodies(ctx)
	if err != nil {
		return 0, err
	}
	for i := range damageRecords {
		err := answers.Each(ctx, bodyOf(s, fmt.Sprint("k", i), "a", "").Owner, ">", func(stored *store.Stored) (bool, error) {
			_, err := answers.Body(ctx, stored)
			if err == nil {
				found++
			}
			return true, err
		})
		if err != nil {
			return 0, err
		}
	}
	return found, nil
}

// TestSubjectsThatAreCutShort: no checksum tells where the subject of a record ends, and
// a body under another subject is not found.
func TestSubjectsThatAreCutShort(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1 << 20} {
		for _, indexed := range []bool{true, false} {
			t.Run(fmt.Sprint(size, " bytes, index ", indexed), func(t *testing.T) {
				dir := t.TempDir()
				s, shut := open(t, config(dir))
				keep(t, bodies(t, s), bodyOf(s, "o", "a", strings.Repeat("x", size)))
				shut()
				messages := filepath.Join(dir, "engine/jetstream/$G/streams/FINALS/msgs")
				block := filepath.Join(messages, "1.blk")
				content := testkit.Must(os.ReadFile(block))(t)
				content[20] -= byte(len(".whole"))
				write(t, block, content)
				if !indexed {
					os.Remove(filepath.Join(messages, "index.db"))
				}
				var log testkit.LogBuffer
				s, err := teststore.Open(testkit.Within(t), teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				has(t, bodies(t, s), bodyOf(s, "o", "a", ""))
				if !strings.Contains(log.String(), `level=ERROR msg="final answer cannot be read, skipping it" subject=FINALS.answer.`) {
					t.Errorf("an answer is lost, and the log says %q", log.String())
				}
			})
		}
	}
}

// TestManyBlocksAreNoDamage: blocks that do not begin with the first record, and have
// gaps; but one that is cut off is damage, also after a kill.
func TestManyBlocksAreNoDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, lock := range []string{"", "open\n", ""} {
		write(t, filepath.Join(dir, "lock"), []byte(lock))
		var log testkit.LogBuffer
		s, err := teststore.Open(testkit.Within(t), teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
		if err != nil {
			t.Fatal(err)
		}
		things := bucket(t, s, 0)
		testkit.Must(things.Put(testkit.Within(t), "first", []byte("1"), 0))(t)
		for i := range 12 {
			testkit.Must(things.Put(testkit.Within(t), fmt.Sprint(i%5), make([]byte, 2<<20), 0))(t)
		}
		if records := testkit.Must(things.List(testkit.Within(t), ">", 0, 10))(t); len(records) != 6 {
			t.Errorf("%d records; want 6", len(records))
		}
		if err := s.Close(); err != nil || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("Close: %v; the log says\n%s", err, log.String())
		}
	}
	blocks := testkit.Must(filepath.Glob(filepath.Join(dir, "engine/jetstream/*/streams/TABLE_things/msgs/*.blk")))(t)
	oldest := slices.MinFunc(blocks, func(a, b string) int {
		return testkit.Must(os.Stat(a))(t).ModTime().Compare(testkit.Must(os.Stat(b))(t).ModTime())
	})
	content := testkit.Must(os.ReadFile(oldest))(t)
	content[len(content)-1] ^= 0x15
	written := testkit.Must(os.Stat(oldest))(t).ModTime()
	write(t, oldest, content)
	if err := os.Chtimes(oldest, written, written); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "lock"), []byte("open\n"))
	var log testkit.LogBuffer
	s, err := teststore.Open(testkit.Within(t), teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bucket(t, s, 0)
	if !strings.Contains(log.String(), `level=ERROR msg="data is damaged: records are lost`) {
		t.Errorf("the log says\n%s", log.String())
	}
}

// TestEmptiedStreamsAreNoLoss: the engine knows without its index how far a stream goes
// of which nothing is left.
func TestEmptiedStreamsAreNoLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	ctx, things, events, work, answers := testkit.Within(t), bucket(t, s, 0), journal(t, s), queue(t, s, time.Minute), bodies(t, s)
	for i := range 5 {
		key := fmt.Sprint("k", i)
		testkit.Must(things.Put(ctx, key, nil, time.Second))(t)
		testkit.Must(events.Append(ctx, key, nil, 0))(t)
		add(t, work, "subject", key)
		body := bodyOf(s, key, "a", key)
		keep(t, answers, body)
		if err := errors.Join(events.Erase(ctx, key), work.Remove(ctx, "subject", key), answers.Forget(ctx, body.Owner)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "all is forgotten", func() bool { return len(testkit.Must(things.List(ctx, ">", 0, 10))(t)) == 0 })
	newest := testkit.Must(events.Newest(ctx))(t)
	shut()
	for range 2 {
		write(t, filepath.Join(dir, "lock"), []byte("open\n"))
		var log testkit.LogBuffer
		s, err := teststore.Open(ctx, teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
		if err != nil {
			t.Fatal(err)
		}
		if n := testkit.Must(journal(t, s).Newest(ctx))(t); n != newest {
			t.Errorf("the journal ends at %d; want %d", n, newest)
		}
		bucket(t, s, 0)
		queue(t, s, time.Minute)
		bodies(t, s)
		if err := s.Close(); err != nil || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("Close: %v; the log says\n%s", err, log.String())
		}
	}
}
