package config

import (
	"errors"
	"fmt"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"pollbridge/internal/check"
)

// Sources are where the settings come from. The zero value has none, so that
// everything is a default.
type Sources struct {
	// File is the path of a YAML file. Empty: none is read.
	File string
	// Env holds variables as NAME=VALUE, like os.Environ. Those whose name does not
	// start with POLLBRIDGE_ are nobody's business here.
	Env []string
	// Flags holds what flags say, by the key of the setting, such as
	// "upstream.url". A list or a table is a string, written as in a variable.
	Flags map[string]any
}

// Load reads all sources and checks the result. An error is an [*Error] with
// every mistake in it, and there is no Config then.
func Load(from Sources) (*Config, error) {
	file, readable := fromFile(from.File)
	environment, adminKey := fromEnvironment(from.Env)
	layers := []*layer{file, environment, fromFlags(from.Flags)} // the last one wins

	c, e := Default(), &Error{}
	c.sources = merge(layers)
	for _, l := range layers {
		e.add(l.mistakes...)
	}
	e.add(c.decode(layers)...)
	c.addAdminKey(adminKey)
	if readable { // or else "is not set" would be said of what may well be in the file
		e.addNew(c.Validate())
	}
	if err := e.orNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// addAdminKey adds the key that has a variable of its own to those of any other
// source.
func (c *Config) addAdminKey(key string) {
	if key == "" {
		return
	}
	const source = "environment " + envAdminKey
	c.sources[fmt.Sprintf("admin.keys[%d]", len(c.Admin.Keys))] = source
	if _, set := c.sources["admin.keys"]; !set {
		c.sources["admin.keys"] = source
	}
	c.Admin.Keys = append(c.Admin.Keys, key)
}

// decode reads the texts of all layers into c and returns what could not be read.
func (c *Config) decode(layers []*layer) []Mistake {
	k := koanf.New(".")
	for _, l := range layers {
		if err := k.Load(confmap.Provider(l.values, "."), nil); err != nil {
			return []Mistake{{Problem: err.Error()}}
		}
	}
	err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName: "yaml", SquashTagOption: "inline",
		DecodeHook: mapstructure.DecodeHookFuncValue(parseHook),
		ZeroFields: true, // a list or a table replaces the default, as between sources
	}})
	return c.unreadable(err)
}

// joinedError is what errors.Join makes.
type joinedError interface {
	error
	Unwrap() []error
}

// unreadable makes a mistake of every error that err joins.
func (c *Config) unreadable(err error) []Mistake {
	if joined, ok := errors.AsType[joinedError](err); ok {
		var all []Mistake
		for _, each := range joined.Unwrap() {
			all = append(all, c.unreadable(each)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	var m Mistake
	if at, ok := errors.AsType[*mapstructure.DecodeError](err); ok {
		m.Key, err = at.Name(), at.Unwrap()
		m.Source = c.sources.of(m.Key)
	}
	m.Problem = err.Error()
	if text, ok := errors.AsType[*textError](err); ok {
		m.Value = check.Redacted(text.text)
	}
	if s, known := settingByKey(settingOf(m.Key)); known && s.secret {
		m.Value = ""
	}
	return []Mistake{m}
}
