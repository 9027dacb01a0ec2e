package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/store"
)

func TestConfigValidate(t *testing.T) {
	noKey := filepath.Join(t.TempDir(), "short")
	write(t, noKey, []byte("hunter2"))
	missing := filepath.Join(t.TempDir(), "key")
	for _, test := range []struct {
		name   string
		change func(*store.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*store.Config) {}, ""},
		{"retain", func(c *store.Config) { c.Retain = 0 }, `retain: "0s": want at least 1s`},
		{"history", func(c *store.Config) { c.History = 50e6 }, `history: "50ms": want at least 1s`},
		{"key file", func(c *store.Config) { c.EncryptionKeyFile = missing }, `encryption_key_file: want the path of a file that can be read, but: no such file or directory (the value is not shown)`},
		{"a file without a key", func(c *store.Config) { c.EncryptionKeyFile = noKey }, `encryption_key_file: want a file that holds 32 bytes`},
	} {
		c := store.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
