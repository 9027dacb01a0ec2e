package config

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// settings reads a section of Config. Nothing under a key counts as nothing set,
// as when all of a section is commented out.
func (f *file) settings(node *yaml.Node, key string, t reflect.Type) {
	for name, value := range f.members(node, key, t) {
		switch k := join(key, name.name); {
		case isNull(value):
		case shapeOf(name.typ) == section:
			f.settings(value, k, name.typ)
		default:
			if v, ok := f.value(value, k, name); ok {
				f.set(k, f.at(value), v)
			}
		}
	}
}

// members yields the known members of a mapping and reports all others.
func (f *file) members(node *yaml.Node, key string, t reflect.Type) iter.Seq2[field, *yaml.Node] {
	known := map[string]field{}
	for _, member := range fields(t) {
		known[member.name] = member
	}
	return func(yield func(field, *yaml.Node) bool) {
		for name, value := range f.pairs(node, key) {
			member, found := known[name.Value]
			if !found {
				f.mistake(join(key, name.Value), f.at(name), "is no setting"+f.suggestion(key, name.Value, t))
				continue
			}
			if !yield(member, value) {
				return
			}
		}
	}
}

// pairs yields the entries of a mapping and reports what is none, and names that
// stand twice.
func (f *file) pairs(node *yaml.Node, key string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(name, value *yaml.Node) bool) {
		if node = resolve(node); node.Kind != yaml.MappingNode {
			f.mistake(key, f.at(node), "is "+kindName(node)+": want names with values, as in NAME: VALUE")
			return
		}
		lines := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, value := resolve(node.Content[i]), node.Content[i+1]
			switch first, twice := lines[name.Value]; {
			case name.Kind != yaml.ScalarNode:
				f.mistake(key, f.at(name), "has "+kindName(name)+" for a name: want text")
				continue
			case twice:
				f.mistake(join(key, name.Value), f.at(name), fmt.Sprintf("stands twice, first in line %d", first))
				continue
			}
			lines[name.Value] = name.Line
			if !yield(name, value) {
				return
			}
		}
	}
}

// value reads node as the text, list, table or section that what is.
func (f *file) value(node *yaml.Node, key string, what field) (value any, ok bool) {
	node = resolve(node)
	switch shapeOf(what.typ) {
	case section:
		return f.section(node, key, what.typ), true
	case list:
		return f.list(node, key, what)
	case table:
		return f.table(node, key), true
	}
	if node.Kind != yaml.ScalarNode || isNull(node) {
		f.mistake(key, f.at(node), "is "+kindName(node)+": want "+want(what.typ))
		return nil, false
	}
	if !strings.HasPrefix(node.ShortTag(), "!!") {
		f.mistake(key, f.at(node), "has the tag "+node.Tag+", which means nothing here: want "+want(what.typ))
		return nil, false
	}
	return node.Value, true
}

func (f *file) section(node *yaml.Node, key string, t reflect.Type) map[string]any {
	values := map[string]any{}
	for member, value := range f.members(node, key, t) {
		if isNull(value) {
			continue
		}
		if v, ok := f.value(value, join(key, member.name), member); ok {
			values[member.name] = v
		}
	}
	return values
}

func (f *file) list(node *yaml.Node, key string, what field) (value any, ok bool) {
	if node.Kind != yaml.SequenceNode {
		mistake := Mistake{Key: key, Source: f.at(node), Problem: "want a list, as in [A, B]"}
		if node.Kind == yaml.ScalarNode && !what.secret {
			mistake.Value = check.Redacted(node.Value)
		}
		f.mistakes = append(f.mistakes, mistake)
		return nil, false
	}
	elements := []any{}
	what.typ = what.typ.Elem()
	for i, element := range node.Content {
		v, ok := f.value(element, fmt.Sprintf("%s[%d]", key, i), what)
		if ok {
			elements = append(elements, v)
		}
	}
	return elements, len(elements) == len(node.Content)
}

func (f *file) table(node *yaml.Node, key string) map[string]string {
	entries := map[string]string{}
	text := field{typ: reflect.TypeFor[string]()}
	for name, value := range f.pairs(node, key) {
		if v, ok := f.value(value, join(key, name.Value), text); ok {
			entries[name.Value] = v.(string)
		}
	}
	return entries
}

// suggestion looks for the name among its siblings and, as whoever forgot the
// section needs it, among all settings.
func (f *file) suggestion(key, name string, t reflect.Type) string {
	if _, dotted := settingByKey(join(key, name)); dotted {
		return "; a dot does not open a section here: write " + strings.ReplaceAll(name, ".", ": {") + ": …" +
			strings.Repeat("}", strings.Count(name, "."))
	}
	var candidates []string
	for _, member := range fields(t) {
		candidates = append(candidates, join(key, member.name))
	}
	for _, s := range settings {
		candidates = append(candidates, s.key)
	}
	return suggestion(join(key, name), candidates)
}

// resolve follows an alias. It cannot lead to another one.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return resolve(node).ShortTag() == "!!null"
}

func kindName(node *yaml.Node) string {
	switch {
	case isNull(node):
		return "empty"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	default:
		return "a single value"
	}
}
