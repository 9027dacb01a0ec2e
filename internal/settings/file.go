package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// file reads the YAML file. It is read as a tree of nodes, guided by the type of the
// target, because only the nodes know their lines, show a key that is set twice, and
// keep a text as it was written: a key of digits must not become a number.
func (r *Reading) file(path string, target field) {
	source := "file " + path
	r.at = func(node *yaml.Node) string { return fmt.Sprintf("%s:%d", source, node.Line) }
	r.blind = true // until all of it could be parsed
	content, err := os.ReadFile(path)
	if err != nil {
		r.add("", "", source, fmt.Sprintf("cannot be read: %v", check.Reason(err)))
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	if err = decoder.Decode(&document); err == nil {
		err = decoder.Decode(&second)
	}
	if err == nil {
		r.add("", "", r.at(&second), "starts a second document: want one document in the file")
	} else if !errors.Is(err, io.EOF) {
		r.invalid(source, err)
	} else if r.blind = false; len(document.Content) > 0 {
		r.section(document.Content[0], target)
	}
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// invalid reports what the parser said.
func (r *Reading) invalid(source string, err error) {
	problem := "is not valid YAML"
	if parts := syntaxError.FindStringSubmatch(err.Error()); parts != nil {
		if parts[1] != "" {
			source += ":" + parts[1]
		}
		if strings.HasPrefix(parts[2], "unknown anchor") { // whose name follows, and may be a secret
			parts[2] = "a text that begins with * needs quotes"
		}
		problem += ": " + parts[2]
	}
	r.add("", "", source, problem)
}

// section reads the members of a mapping. Nothing under a key counts as nothing set,
// as when all of a section is commented out.
func (r *Reading) section(node *yaml.Node, into field) {
	members := into.members()
	r.pairs(node, into.key, func(name, value *yaml.Node) {
		key := check.Join(into.key, name.Value)
		i := slices.IndexFunc(members, func(f field) bool { return f.key == key })
		if i < 0 {
			r.add(shownKey(into.key, name.Value), "", r.at(name), "unknown setting"+suggestion(key, append(keys(members), keys(r.leaves)...)))
		} else if !isNull(value) {
			r.set(value, members[i])
		}
	})
}

// pairs hands on the entries of a mapping and reports what is no mapping, and names that
// are set twice.
func (r *Reading) pairs(node *yaml.Node, key string, each func(name, value *yaml.Node)) {
	if node = resolve(node); node.Kind != yaml.MappingNode {
		r.add(key, "", r.at(node), "is "+kindName(node)+": want names with values, as in NAME: VALUE")
		return
	}
	used := map[string]string{} // where
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := resolve(node.Content[i]), node.Content[i+1]
		first, twice := used[name.Value]
		switch {
		case name.Kind != yaml.ScalarNode:
			r.add(key, "", r.at(name), "has "+kindName(name)+" for a name: want text")
		case twice:
			r.add(shownKey(key, name.Value), "", r.at(name), "the same name is already used at "+first)
		default:
			used[name.Value] = r.at(name)
			each(name, value)
		}
	}
}

// set reads node into what has its shape.
func (r *Reading) set(node *yaml.Node, into field) {
	node = resolve(node)
	if r.leafOf(into.key).key != "" { // or it is a section, of which much may not be set
		r.origins[into.key] = r.at(node)
	}
	switch t := into.value.Type(); shapeOf(t) {
	case section:
		r.section(node, into)
	case list:
		if node.Kind != yaml.SequenceNode {
			r.add(into.key, node.Value, r.at(node), "want a list, as in [A, B]")
			return
		}
		elements := reflect.MakeSlice(t, len(node.Content), len(node.Content))
		for i, element := range node.Content {
			r.set(element, field{key: fmt.Sprintf("%s[%d]", into.key, i), value: elements.Index(i)})
		}
		into.value.Set(elements)
	case table:
		entries := reflect.MakeMap(t)
		r.pairs(node, into.key, func(name, value *yaml.Node) {
			text := reflect.New(t.Elem()).Elem()
			r.set(value, field{key: check.Join(into.key, name.Value), value: text})
			entries.SetMapIndex(reflect.ValueOf(name.Value), text)
		})
		into.value.Set(entries)
	default:
		r.text(node, into)
	}
}

func (r *Reading) text(node *yaml.Node, into field) {
	value, problem := "", ""
	switch t := into.value.Type(); {
	case node.Kind != yaml.ScalarNode || isNull(node):
		problem = "is " + kindName(node) + ": " + want(t)
	case !strings.HasPrefix(node.ShortTag(), "!!"):
		problem = "has a tag, which means nothing here; a text that begins with ! needs quotes: " + want(t)
	default:
		value, problem = node.Value, parse(node.Value, into.value)
	}
	if problem != "" {
		r.add(into.key, value, r.at(node), problem)
	}
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
