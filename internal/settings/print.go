package settings

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

// Print writes every setting of the struct that target points to, as YAML that [Read]
// reads, in their order, each that was set with a comment that says where. Secrets are
// masked, and what a URL has in front of its host.
func (r *Reading) Print(w io.Writer, target any) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(r.node(root(target))); err != nil {
		return fmt.Errorf("settings: write YAML: %w", err)
	}
	return encoder.Close()
}

func (r *Reading) node(f field) *yaml.Node {
	switch shapeOf(f.value.Type()) {
	case section:
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, member := range f.members() {
			name, value := textNode(member.name()), r.node(member)
			if shapeOf(member.value.Type()) != section && !strings.Contains(f.key, "[") {
				comment(name, value, r.origins[member.key])
			}
			node.Content = append(node.Content, name, value)
		}
		return node
	case list:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		if f.value.Len() == 0 || shapeOf(f.value.Type().Elem()) == scalar {
			node.Style = yaml.FlowStyle
		}
		for i := range f.value.Len() {
			node.Content = append(node.Content, r.node(field{fmt.Sprintf("%s[%d]", f.key, i), f.value.Index(i), f.secret}))
		}
		return node
	case table:
		node := &yaml.Node{Kind: yaml.MappingNode}
		if f.value.Len() == 0 {
			node.Style = yaml.FlowStyle
		}
		for _, name := range slices.SortedFunc(slices.Values(f.value.MapKeys()), compareText) {
			node.Content = append(node.Content, textNode(name.String()), r.node(field{value: f.value.MapIndex(name), secret: f.secret}))
		}
		return node
	default:
		return scalarNode(f)
	}
}

// comment puts text behind a value, or over the name of one that is a block.
func comment(name, value *yaml.Node, text string) {
	if value.Kind == yaml.ScalarNode || value.Style == yaml.FlowStyle {
		value.LineComment = text
		return
	}
	name.HeadComment = text
}

func compareText(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }

func scalarNode(f field) *yaml.Node {
	text := check.Text(f.value.Interface())
	switch {
	case f.secret == "true":
		return textNode(masked)
	case f.value.Kind() != reflect.String:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	case strings.Contains(text, "://"):
		return textNode(check.Redacted(text))
	default:
		return textNode(text)
	}
}

// textNode is quoted where it would read as a number or the like.
func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
