package config

import (
	"encoding"
	"reflect"
	"strings"
)

// setting is one leaf of Config: what an operator can set.
type setting struct {
	key    string // such as "store.cluster.name"
	typ    reflect.Type
	secret bool
}

// settings are all there are, in the order of Config.
var settings = listSettings("", reflect.TypeFor[Config]())

func listSettings(prefix string, t reflect.Type) []setting {
	var all []setting
	for _, f := range fields(t) {
		if shapeOf(f.typ) == section {
			all = append(all, listSettings(join(prefix, f.name), f.typ)...)
			continue
		}
		all = append(all, setting{join(prefix, f.name), f.typ, f.secret})
	}
	return all
}

// Keys returns the key of every setting, in the order in which they are printed.
// The variable of a key is POLLBRIDGE_ and the key in upper case, with _ for
// each dot.
func Keys() []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.key
	}
	return keys
}

func settingByKey(key string) (setting, bool) {
	for _, s := range settings {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

// settingOf returns the key of the setting that key is or lies in:
// webhook.retries for webhook.retries[3]. Of any other key it returns the key.
func settingOf(key string) string {
	for _, s := range settings {
		if within(key, s.key) {
			return s.key
		}
	}
	return key
}

// within tells whether key is outer, or a part of it.
func within(key, outer string) bool {
	rest, found := strings.CutPrefix(key, outer)
	return found && outer != "" && (rest == "" || rest[0] == '[' || rest[0] == '.')
}

func join(prefix, name string) string {
	if prefix == "" || name == "" {
		return prefix + name
	}
	return prefix + "." + name
}

// field is one member of a section, by the name that an operator writes.
type field struct {
	name   string
	index  []int
	typ    reflect.Type
	secret bool // its values, but not the keys of a table, are shown to nobody
}

func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		member := t.Field(i)
		name, option, _ := strings.Cut(member.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, inner := range fields(member.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
		case name != "":
			all = append(all, field{name, []int{i}, member.Type, member.Tag.Get("secret") == "true"})
		}
	}
	return all
}

// shape is how a type is written down.
type shape uint8

const (
	scalar  shape = iota // one text
	list                 // of any shape
	table                // names, chosen by the operator, to texts
	section              // names, known here, to any shape
)

func shapeOf(t reflect.Type) shape {
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return scalar
	case t.Kind() == reflect.Struct:
		return section
	case t.Kind() == reflect.Slice:
		return list
	case t.Kind() == reflect.Map:
		return table
	default:
		return scalar
	}
}
