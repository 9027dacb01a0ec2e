package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// file reads the YAML file. It is read as a tree of nodes, guided by the type of the
// target, because only the nodes know their lines, show a key that stands twice, and
// keep a text as it was written: a key of digits must not become a number.
func (r *Reading) file(target field) {
	content, err := os.ReadFile(r.path)
	if err != nil {
		r.blind = true
		r.add("", "", "file "+r.path, fmt.Sprintf("cannot be read: %v", check.Reason(err)))
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	if err = decoder.Decode(&document); err == nil {
		if err = decoder.Decode(&second); err == nil {
			r.add("", "", r.at(&second), "starts a second document: want one document in the file")
		}
	}
	r.blind = !errors.Is(err, io.EOF)
	if err != nil && r.blind {
		r.invalid(err)
	}
	if !r.blind && len(document.Content) > 0 {
		r.section(document.Content[0], target)
	}
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(unknown anchor)?(.*)$`)

// invalid reports what the parser said.
func (r *Reading) invalid(err error) {
	source, problem := "file "+r.path, "is no valid YAML"
	if parts := syntaxError.FindStringSubmatch(err.Error()); parts != nil {
		if parts[1] != "" {
			source += ":" + parts[1]
		}
		if parts[2] != "" { // whose name follows, and may be a secret
			parts[3] = "a text that begins with * needs quotes"
		}
		problem += ": " + parts[3]
	}
	r.add("", "", source, problem)
}

func (r *Reading) at(node *yaml.Node) string { return fmt.Sprintf("file %s:%d", r.path, node.Line) }

// section reads the members of a mapping. Nothing under a key counts as nothing set,
// as when all of a section is commented out.
func (r *Reading) section(node *yaml.Node, into field) {
	members := into.members()
	for name, value := range r.pairs(node, into.key) {
		key := check.Join(into.key, name.Value)
		i := indexOf(members, key)
		if i < 0 {
			r.unknown(into.key, name.Value, r.at(name), append(keys(members), keys(r.leaves)...))
		} else if !isNull(value) {
			r.set(value, members[i])
		}
	}
}

// pairs yields the entries of a mapping and reports what is none, and names that
// stand twice.
func (r *Reading) pairs(node *yaml.Node, key string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(name, value *yaml.Node) bool) {
		if node = resolve(node); node.Kind != yaml.MappingNode {
			r.add(key, "", r.at(node), "is "+kindName(node)+": want names with values, as in NAME: VALUE")
			return
		}
		lines := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, value := resolve(node.Content[i]), node.Content[i+1]
			first, twice := lines[name.Value]
			switch key := key; {
			case name.Kind != yaml.ScalarNode:
				r.add(key, "", r.at(name), "has "+kindName(name)+" for a name: want text")
			case twice:
				if looksLikeName(name.Value) {
					key = check.Join(key, name.Value)
				}
				r.add(key, "", r.at(name), fmt.Sprintf("stands twice, first in line %d", first))
			default:
				lines[name.Value] = name.Line
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// set reads node into what has its shape, and reports whether that worked.
func (r *Reading) set(node *yaml.Node, into field) bool {
	node = resolve(node)
	if r.leafOf(into.key).key != "" { // or it is a section, of which much may not be set
		r.origins[into.key] = r.at(node)
	}
	t := into.value.Type()
	ok := true
	switch shapeOf(t) {
	case section:
		r.section(node, into)
	case list:
		if node.Kind != yaml.SequenceNode {
			r.add(into.key, node.Value, r.at(node), "want a list, as in [A, B]")
			return false
		}
		elements := reflect.MakeSlice(t, len(node.Content), len(node.Content))
		for i, element := range node.Content {
			ok = r.set(element, field{key: fmt.Sprintf("%s[%d]", into.key, i), value: elements.Index(i)}) && ok
		}
		into.value.Set(elements)
	case table:
		entries := reflect.MakeMap(t)
		for name, value := range r.pairs(node, into.key) {
			text := reflect.New(t.Elem()).Elem()
			ok = r.set(value, field{key: check.Join(into.key, name.Value), value: text}) && ok
			entries.SetMapIndex(reflect.ValueOf(name.Value), text)
		}
		into.value.Set(entries)
	default:
		return r.text(node, into)
	}
	return ok
}

func (r *Reading) text(node *yaml.Node, into field) bool {
	problem := ""
	switch {
	case node.Kind != yaml.ScalarNode || isNull(node):
		problem = "is " + kindName(node)
	case !strings.HasPrefix(node.ShortTag(), "!!"):
		problem = "has a tag, which means nothing here; a text that begins with ! needs quotes"
	default:
		return r.scalar(node.Value, into, r.at(node))
	}
	r.add(into.key, "", r.at(node), problem+": "+want(into.value.Type()))
	return false
}

func indexOf(fields []field, key string) int {
	for i, f := range fields {
		if f.key == key {
			return i
		}
	}
	return -1
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
