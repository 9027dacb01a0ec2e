package store_test

import (
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

// TestTheStartAfterAKillReadsAsNormal: one line says what happened, and nothing in the
// log alarms anybody; also where the last record of each file is incomplete.
func TestTheStartAfterAKillReadsAsNormal(t *testing.T) {
	t.Parallel()
	running := t.TempDir()
	s, shut := open(t, config(running))
	earlier := bodyOf(s, "earlier", "a", "earlier")
	keep(t, bodies(t, s), earlier)
	shut()
	s, shut = open(t, config(running))
	defer shut()
	// The engine's index says that there is a file which is gone then.
	if err := bodies(t, s).Forget(testkit.Within(t), earlier.Owner); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		key := fmt.Sprint("k", i)
		testkit.Must(bucket(t, s, 0).Put(testkit.Within(t), key, []byte(key), time.Hour))(t)
		testkit.Must(journal(t, s).Append(testkit.Within(t), key, []byte(key), 0))(t)
		if err := queue(t, s, time.Minute).AddAt(testkit.Within(t), "later", key, nil, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		keep(t, bodies(t, s), bodyOf(s, key, "a", key))
	}
	for _, torn := range []bool{false, true} {
		killed := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(killed, os.DirFS(running)); err != nil {
			t.Fatal(err)
		}
		files := 0
		if torn {
			files = tearLastRecords(t, killed)
		}
		for _, want := range []int{1, 0} { // the second time it was closed
			var log testkit.LogBuffer
			s, err := teststore.Open(testkit.Within(t), teststore.In(killed), store.DefaultConfig(), log.Logger(slog.LevelInfo))
			if err != nil {
				t.Fatal(err)
			}
			journal(t, s)
			queue(t, s, time.Minute)
			bodies(t, s)
			if n := len(testkit.Must(bucket(t, s, 0).List(testkit.Within(t), ">", 0, 100))(t)); n != 20 {
				t.Errorf("%d records of 20 are left", n)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			text := log.String()
			if strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") ||
				strings.Count(text, "recovered the store after an unclean stop") != want ||
				strings.Count(text, "dropped an incomplete record") != files*want {
				t.Errorf("torn %v: the log says\n%s", torn, text)
			}
		}
	}
}

// tearLastRecords appends most of its first record to the newest block of each stream.
func tearLastRecords(t *testing.T, dir string) (files int) {
	t.Helper()
	for _, stream := range testkit.Must(fs.Glob(os.DirFS(dir), "engine/jetstream/*/streams/*/msgs"))(t) {
		blocks := testkit.Must(fs.Glob(os.DirFS(dir), stream+"/*.blk"))(t)
		path := filepath.Join(dir, slices.Max(blocks))
		content := testkit.Must(os.ReadFile(path))(t)
		if len(content) == 0 {
			continue
		}
		size := binary.LittleEndian.Uint32(content) &^ (1 << 31)
		write(t, path, append(content, content[:size-5]...))
		files++
	}
	if files < 5 {
		t.Fatalf("%d files", files)
	}
	return files
}

// TestClosedWhileUnusable: what an engine leaves that had failed is not relied upon.
func TestClosedWhileUnusable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	engine, elsewhere := filepath.Join(dir, "engine"), filepath.Join(dir, "elsewhere")
	s, shut := open(t, config(dir))
	testkit.Must(bucket(t, s, 0).Put(testkit.Within(t), "a", nil, 0))(t)
	if err := os.Rename(engine, elsewhere); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is noticed", func() bool { return s.Err() != nil })
	shut()
	if err := errors.Join(os.RemoveAll(engine), os.Rename(elsewhere, engine)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} { // the second time it was closed in good order
		var log testkit.LogBuffer
		s, err := teststore.Open(testkit.Within(t), teststore.In(dir), store.DefaultConfig(), log.Logger(slog.LevelInfo))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Must(bucket(t, s, 0).Get(testkit.Within(t), "a"))(t)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if text := log.String(); strings.Count(text, "recovered the store after an unclean stop") != want {
			t.Errorf("the log says\n%s", text)
		}
	}
}
