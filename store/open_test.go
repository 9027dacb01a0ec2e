package store_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/store/engine"
)

func refuses(t *testing.T, cfg settings, want error, parts ...string) {
	t.Helper()
	s, err := teststore.Open(testkit.Within(t), cfg.Engine, cfg.Config, slog.New(slog.DiscardHandler))
	if err == nil {
		s.Close()
		t.Fatalf("Open succeeds; want an error with %q", parts)
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("Open: %v; want %v", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("Open: %v; want %q in it", err, part)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, []byte("x"))
	refuses(t, config(file), nil, file, "not a directory")
	refuses(t, config(filepath.Join(file, "data")), nil, file, "not a directory")

	used := filepath.Join(dir, "made", "anew")
	open(t, config(used))
	refuses(t, config(used), engine.ErrLocked, used)
	for path, mode := range map[string]fs.FileMode{used: 0o700, filepath.Join(used, "store.key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, mode)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfe}, 31)
	raw = append(raw, '\n')
	var ids []string
	for _, content := range [][]byte{
		raw, []byte(hex.EncodeToString(raw)), []byte(" " + strings.ToUpper(hex.EncodeToString(raw)) + "\r\n"),
		[]byte(base64.StdEncoding.EncodeToString(raw) + "\n"), []byte(base64.RawURLEncoding.EncodeToString(raw)),
	} {
		dir := t.TempDir()
		cfg := config(filepath.Join(dir, "data"))
		cfg.EncryptionKeyFile = filepath.Join(dir, "key")
		write(t, cfg.EncryptionKeyFile, content)
		s, _ := open(t, cfg)
		ids = append(ids, s.ID("x_", "a"))
		if _, err := os.Stat(filepath.Join(cfg.Engine.Dir, "store.key")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key was made beside the one that is configured: %v", err)
		}
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("%q are read as several keys", ids)
		}
	}
	for _, content := range []string{"", "short", strings.Repeat("z", 64), strings.Repeat("a", 66)} {
		cfg := config(t.TempDir())
		cfg.EncryptionKeyFile = filepath.Join(t.TempDir(), "key")
		write(t, cfg.EncryptionKeyFile, []byte(content))
		refuses(t, cfg, nil, cfg.EncryptionKeyFile, "32 bytes")
	}
	cfg := config(t.TempDir())
	cfg.EncryptionKeyFile = filepath.Join(cfg.Engine.Dir, "none")
	refuses(t, cfg, fs.ErrNotExist, cfg.EncryptionKeyFile)
}

// TestCopiesCanBeOpened: how to back up, and what is missing without the key.
func TestCopiesCanBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	testkit.Must(bucket(t, s, 0).Put(testkit.Within(t), "a", []byte("1"), 0))(t)
	shut()

	whole := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(whole, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, config(whole))
	if record := testkit.Must(bucket(t, s, 0).Get(testkit.Within(t), "a"))(t); string(record.Value) != "1" {
		t.Errorf("the copy has %q; want 1", record.Value)
	}

	key := filepath.Join(dir, "store.key")
	content := testkit.Must(os.ReadFile(key))(t)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for range 2 { // no key is made, which the second one would find
		refuses(t, config(dir), store.ErrDamaged, key, "put that file back")
	}
	write(t, key, []byte(strings.Repeat("ab", 32)))
	refuses(t, config(dir), store.ErrDamaged, key, "another key")
	write(t, key, content)
	s, _ = open(t, config(dir))
	testkit.Must(bucket(t, s, 0).Get(testkit.Within(t), "a"))(t)
}

func TestNothingIsStoredInClear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	secret := []byte("planted-secret")
	testkit.Must(bucket(t, s, 0).Put(testkit.Within(t), "a", secret, 0))(t)
	testkit.Must(journal(t, s).Append(testkit.Within(t), "a", secret, 0))(t)
	q := queue(t, s, time.Minute)
	if err := errors.Join(q.Add(testkit.Within(t), "a", "1", secret), q.AddAt(testkit.Within(t), "a", "2", secret, time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	keep(t, bodies(t, s), bodyOf(s, "planted-owner", "planted-name", "planted-body"))
	keep(t, bodies(t, s), bodyOf(s, "planted-owner", "planted-name", strings.Repeat("planted-body", 1<<20)))
	shut()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("planted")) || strings.Contains(path, "planted") {
			t.Errorf("%s holds a secret in clear", path)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}

// TestMovedRecordsCannotBeRead: what is stored under one key says nothing under
// another.
func TestMovedRecordsCannotBeRead(t *testing.T) {
	t.Parallel()
	ctx, things := testkit.Within(t), bucket(t, fresh(t), 0)
	testkit.Must(things.Put(ctx, "a", []byte("1"), 0))(t)
	if err := things.MoveValue(ctx, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := things.Get(ctx, "b"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Get: %v; want ErrDamaged", err)
	}
	if all := testkit.Must(things.List(ctx, ">", 0, 10))(t); len(all) != 1 {
		t.Errorf("List returns %d records; want the one that can be read", len(all))
	}
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFormatOfALaterVersion: what cannot be understood is left alone, and that of an earlier one
// is opened.
func TestFormatOfALaterVersion(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	s, shut := open(t, cfg)
	testkit.NoError(t, s.StoredByFormat(testkit.Within(t), store.Format-1))
	shut()
	s, shut = open(t, cfg)
	if format := testkit.Must(s.StoredFormat(testkit.Within(t)))(t); format != store.Format {
		t.Errorf("format %d is told of what this version has written; want %d", format, store.Format)
	}
	testkit.NoError(t, s.StoredByFormat(testkit.Within(t), store.Format+1))
	shut()
	_, err := teststore.Open(testkit.Within(t), cfg.Engine, cfg.Config, slog.New(slog.DiscardHandler))
	if want := fmt.Sprintf("has format %d", store.Format+1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Open = %v; want an error that says it %s", err, want)
	}
}
