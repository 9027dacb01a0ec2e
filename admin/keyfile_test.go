package admin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/admin"
)

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	first, path, made, err := admin.KeyFile(dir)
	if err != nil || !made || len(first) < 40 || path != filepath.Join(dir, "admin.key") {
		t.Fatalf("KeyFile = %d characters, %s, %v, %v", len(first), path, made, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v; want 0600", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files were left; want one", len(files))
	}
	cfg := admin.DefaultConfig()
	cfg.Keys = []string{first}
	if err := cfg.Validate(); err != nil {
		t.Errorf("the key is not one that could be configured: %v", err)
	}
	again, _, made, err := admin.KeyFile(dir)
	if err != nil || made || again != first {
		t.Errorf("again: the same %v, made %v, %v", again == first, made, err)
	}
	if other, _, _, _ := admin.KeyFile(t.TempDir()); other == first {
		t.Error("two directories have the same key")
	}
}

func TestKeyFileThatCannotBeUsed(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "secret", "of two lines": "secret-secret-secret\nsecret\n"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "admin.key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, made, err := admin.KeyFile(dir)
		if err == nil || made || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret-") {
			t.Errorf("%s: %v, %v; want an error that names the path", name, made, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, _, _, err := admin.KeyFile(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a directory: %v", err)
	}
}
