package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"pollbridge/internal/check"
	"pollbridge/internal/settings"
)

// Sources are where the settings come from: a file, the environment and flags.
type Sources = settings.Sources

// Flag is a flag of the command line that sets something.
type Flag = settings.Flag

// adminKey is the variable of one more key for admin.keys: the usual way to hand a
// single secret to a container.
const adminKey = settings.Prefix + "ADMIN_KEY="

// AccessToken is a variable that is no setting: a command takes the upstream's credential
// from it.
const AccessToken = settings.Prefix + "ACCESS_TOKEN"

// Load reads all sources and checks the result. An error joins every mistake, each a
// [pollbridge/internal/check.Mistake], and there is no Config then.
func Load(from Sources) (*Config, error) { return load(from, (*Config).Validate) }

// LoadStore is Load for what needs the store only: mistakes in other settings are no matter.
func LoadStore(from Sources) (*Config, error) {
	return load(from, func(c *Config) error {
		var m check.Mistakes
		c.validateStore(&m)
		return m.Err()
	})
}

func load(from Sources, validate func(*Config) error) (*Config, error) {
	c := read(from)
	if err := c.read.Err(validate(c)); err != nil {
		return nil, err
	}
	return c, nil
}

func read(from Sources) *Config {
	var keys []string
	from.Env = slices.DeleteFunc(slices.Clone(from.Env), func(variable string) bool {
		if strings.HasPrefix(variable, AccessToken+"=") {
			return true
		}
		key, found := strings.CutPrefix(variable, adminKey)
		if key != "" && found {
			keys = append(keys, key)
		}
		return found
	})
	c := Default()
	c.read = settings.Read(c, from)
	for _, key := range keys {
		c.read.Set(fmt.Sprintf("admin.keys[%d]", len(c.Admin.Keys)), "environment "+strings.TrimSuffix(adminKey, "="))
		c.Admin.Keys = append(c.Admin.Keys, key)
	}
	return c
}

// YAML writes every setting to w as a file that [Load] accepts, in the order of
// Config, each that the user set with a comment that says where. Secrets are
// masked: a key, the secret of a host, and what a URL has in front of its host.
func (c *Config) YAML(w io.Writer) error { return c.read.Print(w, c) }
