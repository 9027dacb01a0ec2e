package watch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pollbridge/watch"
)

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*watch.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*watch.Config) {}, ""},
		{"adaptive", func(c *watch.Config) { c.Schedule = watch.Adaptive }, ""},
		{"the first not found counts", func(c *watch.Config) { c.NotFoundAfter = 0 }, ""},
		{"schedule", func(c *watch.Config) { c.Schedule = "often" }, `schedule: "often": want one of fixed, adaptive`},
		{"interval", func(c *watch.Config) { c.Interval = 99 * time.Millisecond }, `interval: "99ms": want at least 100ms`},
		{"gap", func(c *watch.Config) { c.MaxGap = time.Second }, ""},
		{"gap shorter than the interval", func(c *watch.Config) { c.MaxGap = 999 * time.Millisecond }, `max_gap: "999ms": want 0s, which is five intervals, or at least interval, which is 1s`},
		{"deadline", func(c *watch.Config) { c.Deadline = 0 }, `deadline: "0s": want more than 0s`},
		{"not found", func(c *watch.Config) { c.NotFoundAfter = -time.Hour }, `not_found_after: "-1h": want 0s or more`},
		{"max", func(c *watch.Config) { c.Max = 0 }, `max: "0": want at least 1`},
	} {
		c := watch.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
