package config

import (
	"maps"
	"strings"
)

// layer is what one source says, as text: each value is a string, a []any of
// values, a map[string]string, or a map[string]any of values for a section.
type layer struct {
	values   map[string]any // by the key of a setting
	sources  sources
	mistakes []Mistake
}

func newLayer() *layer {
	return &layer{values: map[string]any{}, sources: sources{}}
}

func (l *layer) set(key, source string, value any) {
	l.values[key] = value
	l.sources[key] = source
}

func (l *layer) mistake(key, source, problem string) {
	l.mistakes = append(l.mistakes, Mistake{Key: key, Source: source, Problem: problem})
}

// sources says where each setting that the user set comes from, by its key. An
// element of a list has an entry of its own if it comes from elsewhere.
type sources map[string]string

// of returns the source of a key, which may lie within a setting. It is empty for
// a default.
func (s sources) of(key string) string {
	if source, found := s[key]; found {
		return source
	}
	return s[settingOf(key)]
}

// fromLine is a text on one line as the shape that t wants: a flag or a variable
// has no other way to hold a list or a table. problem is empty if that worked.
func fromLine(text string, s setting) (value any, problem string) {
	switch shapeOf(s.typ) {
	case list:
		if shapeOf(s.typ.Elem()) != scalar {
			return nil, "can only be set in the file"
		}
		var elements []any
		for element := range strings.SplitSeq(text, ",") {
			elements = append(elements, strings.TrimSpace(element))
		}
		return elements, ""
	case table:
		return tableFromLine(text)
	default:
		return text, ""
	}
}

func tableFromLine(text string) (value any, problem string) {
	entries := map[string]string{}
	for entry := range strings.SplitSeq(text, ",") {
		name, content, found := strings.Cut(strings.TrimSpace(entry), "=")
		if !found {
			return nil, "want NAME=VALUE, and commas between several (the value is not shown)"
		}
		if _, twice := entries[name]; twice {
			return nil, "has a name that stands twice (the value is not shown)"
		}
		entries[name] = content
	}
	return entries, ""
}

// merge gives every setting the source of the highest layer that sets it.
func merge(layers []*layer) sources {
	merged := sources{}
	for _, l := range layers {
		maps.Copy(merged, l.sources)
	}
	return merged
}
