package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pollbridge/cache"
)

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*cache.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*cache.Config) {}, ""},
		{"nothing but finals and pendings", func(c *cache.Config) { c.NotFoundTTL, c.StaleIfError = 0, 0 }, ""},
		{"too small", func(c *cache.Config) { c.MaxSize = 1 << 10 }, `max_size: "1KiB": want at least 1MiB`},
		{"no window", func(c *cache.Config) { c.PendingTTL = 0 }, `pending_ttl: "0s": want more than 0s`},
		{"final sooner forgotten", func(c *cache.Config) { c.PendingTTL = time.Hour }, `final_ttl: "15m": want at least pending_ttl, which is 1h`},
		{"not found", func(c *cache.Config) { c.NotFoundTTL = -1 }, `not_found_ttl: "-1ns": want 0s or more`},
		{"stale", func(c *cache.Config) { c.StaleIfError = -time.Minute }, `stale_if_error: "-1m": want 0s or more`},
		{"another field", func(c *cache.Config) { c.IgnoredQueryFields = []string{"_", "nocache"} }, ""},
		{"no field is ignored", func(c *cache.Config) { c.IgnoredQueryFields = nil }, ""},
		{"the token is ignored", func(c *cache.Config) { c.IgnoredQueryFields = []string{"_", "token"} }, `ignored_query_fields[1]: "token": want the name of a field, and not token`},
		{"nothing is ignored", func(c *cache.Config) { c.IgnoredQueryFields = []string{""} }, `ignored_query_fields[0]: want the name of a field`},
	} {
		c := cache.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}

func TestConfigReportsAllMistakes(t *testing.T) {
	err := cache.Config{PendingTTL: -1, FinalTTL: -2, NotFoundTTL: -1, StaleIfError: -1}.Validate()
	for _, key := range []string{"max_size", "pending_ttl", "final_ttl", "not_found_ttl", "stale_if_error"} {
		if !strings.Contains(fmt.Sprint(err), key+": ") {
			t.Errorf("Validate() = %v; want %s in it", err, key)
		}
	}
}

func TestSizeText(t *testing.T) {
	for text, want := range map[string]string{
		"256MiB": "256MiB", "1GB": "1GB", "1gb": "1GB", "1024 KiB": "1MiB", "1.5GiB": "1536MiB",
		"1TB": "1TB", "1PiB": "1PiB", "1000": "1kB", "1234567": "1234567B", "0": "0B",
	} {
		var size cache.Size
		if err := size.UnmarshalText([]byte(text)); err != nil || size.String() != want {
			t.Errorf("%q reads as %v, %v; want %s", text, size, err, want)
		}
		var again cache.Size
		if err := again.UnmarshalText([]byte(size.String())); err != nil || again != size {
			t.Errorf("%q reads as %d, then as %d, %v; want the same", text, int64(size), int64(again), err)
		}
	}
	for _, text := range []string{"", "MiB", "-1MiB", "1 parsec", "2PiB", "99999999999EiB", "NaN", "0x10", "1MiB 2"} {
		var size cache.Size
		if err := size.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q reads as %v; want an error", text, size)
		}
	}
}
