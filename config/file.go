package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// fromFile reads the YAML file at path; an empty path is a file without settings.
// readable is false if nothing can be said about what the file sets.
//
// The file is read as a tree of nodes, guided by the type of Config, because only
// the nodes know their lines, show a key that stands twice, and keep a text as it
// was written: an admin key of digits must not become a number.
func fromFile(path string) (l *layer, readable bool) {
	f := &file{layer: newLayer(), path: path}
	if path == "" {
		return f.layer, true
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.mistake("", "file "+path, fmt.Sprintf("cannot be read: %v", check.Reason(err)))
		return f.layer, false
	}
	root, ok := f.parse(content)
	if ok && root != nil {
		f.settings(root, "", reflect.TypeFor[Config]())
	}
	return f.layer, ok
}

type file struct {
	*layer
	path string
}

// parse returns the content's only document, nil if it has none.
func (f *file) parse(content []byte) (root *yaml.Node, ok bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		f.invalid(err)
		return nil, false
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return document.Content[0], true
	case err != nil:
		f.invalid(err)
	default:
		f.mistake("", f.at(&second), "starts a second document: want one document in the file")
	}
	return nil, false
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// invalid reports what the parser said.
func (f *file) invalid(err error) {
	source, problem := "file "+f.path, "is no valid YAML"
	if parts := syntaxError.FindStringSubmatch(err.Error()); parts != nil {
		if parts[1] != "" {
			source += ":" + parts[1]
		}
		// A secret that starts with * reads as the name of an anchor.
		detail, _, _ := strings.Cut(parts[2], "'")
		problem += ": " + strings.TrimSpace(detail)
	}
	f.mistake("", source, problem)
}

func (f *file) at(node *yaml.Node) string {
	return fmt.Sprintf("file %s:%d", f.path, node.Line)
}
