package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"pollbridge/config"
)

// settings are the flags with which a command takes the configuration. A flag
// that is not given says nothing; one that is given empty sets something empty.
type settings struct {
	Config      string  `placeholder:"FILE" help:"YAML file with settings. No file is read unless it is named."`
	Upstream    *string `placeholder:"URL" help:"Where the signing API answers (upstream.url)."`
	Listen      *string `placeholder:"ADDR" help:"Address of the public listener (listen)."`
	AdminListen *string `placeholder:"ADDR" help:"Address of the management API (admin.listen)."`
	DataDir     *string `placeholder:"DIR" help:"Directory of everything durable (store.dir)."`
}

// Help is what --help says besides the flags.
func (settings) Help() string {
	return `Each setting is taken from its flag, else from the environment, else from the file, else it has a default. ` +
		`Its variable is POLLBRIDGE_ and its path in upper case, with _ for each dot: upstream.url is POLLBRIDGE_UPSTREAM_URL. ` +
		`There, a list is written A,B and a table NAME=VALUE,NAME=VALUE:

  POLLBRIDGE_WEBHOOK_ALLOW_PORTS=443,8443
  POLLBRIDGE_WEBHOOK_HEADER_HOSTS=hooks.example.com=whsec_…,other.example.com=whsec_…

POLLBRIDGE_ADMIN_KEY adds one key to admin.keys. A variable that is empty is not set.
"pollbridge check-config" shows every setting, where its value comes from, and all mistakes at once.`
}

// load reads the configuration from the flags, from env as in os.Environ, and from the
// file. An error joins mistakes of package check.
func (s settings) load(env []string) (*config.Config, error) {
	var flags []config.Flag
	for _, flag := range []struct {
		name, key string
		value     *string
	}{
		{"--upstream", "upstream.url", s.Upstream},
		{"--listen", "listen", s.Listen},
		{"--admin-listen", "admin.listen", s.AdminListen},
		{"--data-dir", "store.dir", s.DataDir},
	} {
		if flag.value != nil {
			flags = append(flags, config.Flag{Name: flag.name, Key: flag.key, Value: *flag.value})
		}
	}
	return config.Load(config.Sources{File: s.Config, Env: env, Flags: flags})
}

// checkConfigCmd validates the configuration and prints what is in effect.
type checkConfigCmd struct {
	settings
}

// Run prints the effective configuration to out, secrets masked. Nothing is printed if
// there are mistakes in it, which the error joins.
func (c *checkConfigCmd) Run(_ context.Context, out io.Writer) error {
	effective, err := c.load(os.Environ())
	if err != nil {
		return err
	}
	if err := effective.YAML(out); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}
