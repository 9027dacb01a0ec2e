package settings

import (
	"encoding"
	"reflect"
	"strings"

	"pollbridge/internal/check"
)

// field is what can be set: a setting, a section, or an element of either.
type field struct {
	key    string // such as "store.nats.url" or "webhook.retries[2]"
	value  reflect.Value
	secret string // the tag
}

func (f field) name() string { return f.key[strings.LastIndexByte(f.key, '.')+1:] }

// members are the fields of a section, by the names that an operator writes.
func (f field) members() []field {
	var all []field
	for i := range f.value.NumField() {
		member := f.value.Type().Field(i)
		name, option, _ := strings.Cut(member.Tag.Get("yaml"), ",")
		inner := field{check.Join(f.key, name), f.value.Field(i), member.Tag.Get("secret")}
		switch {
		case option == "inline":
			all = append(all, inner.members()...)
		case name != "":
			all = append(all, inner)
		}
	}
	return all
}

// leaves are the settings within a section, in their order, or the setting itself.
func (f field) leaves() (all []field) {
	if shapeOf(f.value.Type()) != section {
		return []field{f}
	}
	for _, member := range f.members() {
		all = append(all, member.leaves()...)
	}
	return all
}

func keys(fields []field) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.key
	}
	return all
}

func root(target any) field { return field{value: reflect.ValueOf(target).Elem()} }

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
