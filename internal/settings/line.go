package settings

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Prefix begins the name of every variable. The key of its setting follows in upper case,
// with _ for each dot.
const Prefix = "POLLBRIDGE_"

// injected matches what Kubernetes sets in every pod for a Service named
// pollbridge, or pollbridge-SOMETHING. Nobody wrote it, so it is no mistake.
var injected = regexp.MustCompile(`^POLLBRIDGE_(` +
	`SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*` +
	`|\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?` +
	`)=|^POLLBRIDGE_\w+_PORT=(tcp|udp|sctp)://`)

// environment reads variables. One that is empty counts as not set.
func (r *Reading) environment(variables []string) {
	var names []string
	for _, leaf := range r.leaves {
		names = append(names, variable(leaf.key))
	}
	for _, v := range variables {
		name, text, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, Prefix) || text == "" {
			continue
		}
		if i := slices.Index(names, name); i >= 0 {
			r.line(text, r.leaves[i], "environment "+name)
		} else if !injected.MatchString(v) {
			r.add("", "", "environment "+name, "unknown setting"+suggestion(name, names))
		}
	}
}

func variable(key string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// line reads a text on one line as the shape that the setting wants: a flag or a
// variable has no other way to hold a list or a table.
func (r *Reading) line(text string, setting field, source string) {
	maps.DeleteFunc(r.origins, func(part, _ string) bool { return within(part, setting.key) })
	r.at = func(node *yaml.Node) string {
		if node.Line == 0 {
			return source
		}
		return fmt.Sprintf("%s, entry %d", source, node.Line)
	}
	t := setting.value.Type()
	node := textNode(text)
	switch shapeOf(t) {
	case list:
		if shapeOf(t.Elem()) != scalar {
			r.add(setting.key, "", source, "can only be set in the file")
			return
		}
		node = &yaml.Node{Kind: yaml.SequenceNode}
		for element := range strings.SplitSeq(text, ",") {
			node.Content = append(node.Content, textNode(strings.TrimSpace(element)))
		}
	case table:
		node = &yaml.Node{Kind: yaml.MappingNode}
		for i, entry := range strings.Split(text, ",") {
			name, value, found := strings.Cut(strings.TrimSpace(entry), "=")
			key, content := textNode(name), textNode(value)
			key.Line, content.Line = i+1, i+1
			if !found || strings.ContainsAny(name, ": \t\n") {
				r.add(setting.key, "", r.at(key), "has an entry that is not NAME=VALUE (it is not shown)")
				return
			}
			node.Content = append(node.Content, key, content)
		}
	}
	r.set(node, setting)
}

// form says how a list or a table is written on one line.
func form(t reflect.Type) string {
	switch shape := shapeOf(t); {
	case shape == list && shapeOf(t.Elem()) == scalar:
		return "; here a list is written A,B"
	case shape == table:
		return "; here a table is written NAME=VALUE,NAME=VALUE"
	default:
		return ""
	}
}
