package main

import "pollbridge/config"

// settings are the flags with which a command takes the configuration. A flag
// that is not given says nothing; one that is given empty sets something empty.
type settings struct {
	Config      string  `placeholder:"FILE" help:"YAML file with settings. No file is read unless it is named."`
	Upstream    *string `placeholder:"URL" help:"Where the signing API answers (upstream.url)."`
	Listen      *string `placeholder:"ADDR" help:"Address of the public listener (listen)."`
	AdminListen *string `placeholder:"ADDR" help:"Address of the management API (admin.listen)."`
	DataDir     *string `placeholder:"DIR" help:"Directory of everything durable (store.dir)."`
}

// load reads the configuration from the flags, from env as in os.Environ, and
// from the file. An error is a [*config.Error].
func (s settings) load(env []string) (*config.Config, error) {
	flags := map[string]any{}
	for key, value := range map[string]*string{
		"upstream.url": s.Upstream,
		"listen":       s.Listen,
		"admin.listen": s.AdminListen,
		"store.dir":    s.DataDir,
	} {
		if value != nil {
			flags[key] = *value
		}
	}
	return config.Load(config.Sources{File: s.Config, Env: env, Flags: flags})
}
