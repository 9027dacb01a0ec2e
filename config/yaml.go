package config

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// masked stands where a secret does. It is no valid secret, so that what was
// printed cannot be used by mistake.
const masked = "***"

// YAML writes every setting to w as a file that [Load] accepts, in the order of
// Config, each that the user set with a comment that says where. Secrets are
// masked: a key, the secret of a host, and what a URL has in front of its host.
func (c *Config) YAML(w io.Writer) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(c.sectionNode("", reflect.ValueOf(*c))); err != nil {
		return fmt.Errorf("config: write YAML: %w", err)
	}
	return encoder.Close()
}

func (c *Config) sectionNode(key string, v reflect.Value) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields(v.Type()) {
		k := join(key, f.name)
		name, value := textNode(f.name), c.node(k, v.FieldByIndex(f.index), f.secret)
		if source := c.sources[k]; source != "" {
			comment(name, value, source)
		}
		node.Content = append(node.Content, name, value)
	}
	return node
}

// comment puts text behind a value, or over the name of one that is a block.
func comment(name, value *yaml.Node, text string) {
	if value.Kind == yaml.ScalarNode || value.Style == yaml.FlowStyle {
		value.LineComment = text
		return
	}
	name.HeadComment = text
}

func (c *Config) node(key string, v reflect.Value, secret bool) *yaml.Node {
	switch shapeOf(v.Type()) {
	case section:
		return c.sectionNode(key, v)
	case list:
		return c.listNode(key, v, secret)
	case table:
		return tableNode(v, secret)
	default:
		return scalarNode(v, secret)
	}
}

func (c *Config) listNode(key string, v reflect.Value, secret bool) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 || shapeOf(v.Type().Elem()) == scalar {
		node.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		node.Content = append(node.Content, c.node(fmt.Sprintf("%s[%d]", key, i), v.Index(i), secret))
	}
	return node
}

func tableNode(v reflect.Value, secret bool) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	if v.Len() == 0 {
		node.Style = yaml.FlowStyle
	}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		node.Content = append(node.Content, textNode(name.String()), scalarNode(v.MapIndex(name), secret))
	}
	return node
}

func scalarNode(v reflect.Value, secret bool) *yaml.Node {
	text := check.Text(v.Interface())
	switch {
	case secret:
		return textNode(masked)
	case v.Kind() == reflect.String:
		if strings.Contains(text, "://") {
			text = check.Redacted(text)
		}
		return textNode(text)
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	}
}

// textNode is quoted where it would read as a number or the like.
func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
