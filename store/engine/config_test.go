package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/store/engine"
)

func TestConfigValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*engine.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*engine.Config) {}, ""},
		{"interval", func(c *engine.Config) { c.Sync = engine.SyncInterval }, ""},
		{"dir", func(c *engine.Config) { c.Dir = "" }, `dir: is empty`},
		{"a file for a directory", func(c *engine.Config) { c.Dir = file }, `want a directory, but ` + file + ` is a file`},
		{"below a file", func(c *engine.Config) { c.Dir = filepath.Join(file, "a", "b") }, `want a directory, but ` + file + ` is a file`},
		{"a directory to be made", func(c *engine.Config) { c.Dir = filepath.Join(filepath.Dir(file), "a") }, ""},
		{"sync", func(c *engine.Config) { c.Sync = "never" }, `sync: "never": want one of always, interval`},
	} {
		c := engine.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
