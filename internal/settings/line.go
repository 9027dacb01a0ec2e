package settings

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
)

// Prefix begins the name of every variable.
const Prefix = "POLLBRIDGE_"

// injected matches what Kubernetes sets in every pod for a Service named
// pollbridge, or pollbridge-SOMETHING. Nobody wrote it, so it is no mistake.
var injected = regexp.MustCompile(`^POLLBRIDGE_(` +
	`SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*` +
	`|\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?` +
	`)=|^POLLBRIDGE_\w+_PORT=(tcp|udp|sctp)://`)

// environment reads variables. One that is empty counts as not set.
func (r *Reading) environment(variables []string) {
	byName := map[string]field{}
	var names []string
	for _, leaf := range r.leaves {
		name := Prefix + strings.ToUpper(strings.ReplaceAll(leaf.key, ".", "_"))
		byName[name] = leaf
		names = append(names, name)
	}
	for _, variable := range variables {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, Prefix) || text == "" {
			continue
		}
		if setting, known := byName[name]; known {
			r.line(text, setting, "environment "+name)
		} else if !injected.MatchString(variable) {
			r.add("", "", "environment "+name, "unknown setting"+suggestion(name, names))
		}
	}
}

// line reads a text on one line as the shape that the setting wants: a flag or a
// variable has no other way to hold a list or a table.
func (r *Reading) line(text string, setting field, source string) {
	maps.DeleteFunc(r.origins, func(part, _ string) bool { return within(part, setting.key) })
	t := setting.value.Type()
	read := reflect.New(t).Elem()
	ok := true
	switch shapeOf(t) {
	case list:
		if shapeOf(t.Elem()) != scalar {
			r.add(setting.key, "", source, "can only be set in the file")
			return
		}
		for i, element := range strings.Split(text, ",") {
			into := field{key: fmt.Sprintf("%s[%d]", setting.key, i), value: reflect.New(t.Elem()).Elem()}
			ok = r.scalar(strings.TrimSpace(element), into, source) && ok
			read = reflect.Append(read, into.value)
		}
	case table:
		read.Set(reflect.MakeMap(t))
		for i, entry := range strings.Split(text, ",") {
			ok = r.entry(strings.TrimSpace(entry), field{key: setting.key, value: read}, fmt.Sprintf("%s, entry %d", source, i+1)) && ok
		}
	default:
		ok = r.scalar(text, field{key: setting.key, value: read}, source)
	}
	if ok {
		r.origins[setting.key] = source
		setting.value.Set(read)
	}
}

// entry reads NAME=VALUE into a table.
func (r *Reading) entry(text string, into field, source string) bool {
	name, value, found := strings.Cut(text, "=")
	if !found || strings.ContainsAny(name, ": \t\n") {
		r.add(into.key, "", source, "has an entry that is no NAME=VALUE (it is not shown)")
		return false
	}
	if into.value.MapIndex(reflect.ValueOf(name)).IsValid() {
		r.add(into.key, "", source, "has a name that stands twice (it is not shown)")
		return false
	}
	r.origins[into.key+"."+name] = source
	into.value.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
	return true
}

// scalar reads text and reports whether that worked.
func (r *Reading) scalar(text string, into field, source string) bool {
	if parse(text, into.value) != nil {
		r.add(into.key, text, source, want(into.value.Type()))
		return false
	}
	return true
}

// form says how a list or a table is written on one line.
func form(t reflect.Type) string {
	switch shapeOf(t) {
	case list:
		return "; here a list is written A,B"
	case table:
		return "; here a table is written NAME=VALUE,NAME=VALUE"
	default:
		return ""
	}
}
