package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/store"
)

func TestConfigValidate(t *testing.T) {
	cluster := func(listen string, routes ...string) func(*store.Config) {
		return func(c *store.Config) { c.Cluster.Listen, c.Cluster.Routes = listen, routes }
	}
	missing := filepath.Join(t.TempDir(), "key")
	for _, test := range []struct {
		name   string
		change func(*store.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*store.Config) {}, ""},
		{"interval", func(c *store.Config) { c.Sync = store.SyncInterval }, ""},
		{"external engine", func(c *store.Config) { c.URL = "nats://u:p@a:4222, tls://b" }, ""},
		{"cluster", cluster(":6222", "b:6222", "nats://u:p@c:6222"), ""},
		{"the first of a cluster", cluster(":6222"), ""},
		{"dir", func(c *store.Config) { c.Dir = "" }, `dir: is empty`},
		{"sync", func(c *store.Config) { c.Sync = "never" }, `sync: "never": want one of always, interval`},
		{"retain", func(c *store.Config) { c.Retain = 0 }, `retain: "0s": want more than 0s`},
		{"history", func(c *store.Config) { c.History = -1 }, `history: "-1ns": want more than 0s`},
		{"key file", func(c *store.Config) { c.EncryptionKeyFile = missing }, `want a file that can be read, but: no such file`},
		{"url", func(c *store.Config) { c.URL = "nats://a,http://b" }, `url: "http://b": want a URL with a host and one of the schemes nats, tls, ws, wss`},
		{"listen", cluster("6222"), `cluster.listen: "6222": want HOST:PORT`},
		{"routes alone", cluster("", "b:6222"), `cluster.listen: is not set`},
		{"name alone", func(c *store.Config) { c.Cluster.Name = "a" }, `cluster.listen: is not set`},
		{"route", cluster(":6222", "b:6222", "u:hunter2@c"), `cluster.routes[1]: "***@c": want HOST:PORT`},
		{"cluster and external", func(c *store.Config) { c.URL, c.Cluster.Listen = "nats://a", ":6222" }, `not both`},
	} {
		c := store.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
