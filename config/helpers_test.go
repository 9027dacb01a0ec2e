package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"pollbridge/config"
	"pollbridge/internal/check"
)

const urlVariable = "POLLBRIDGE_UPSTREAM_URL=https://upstream.test"

// file writes content to a file of its own and returns its path.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load fails the test unless the sources make a configuration.
func load(t testing.TB, from config.Sources) *config.Config {
	t.Helper()
	c, err := config.Load(from)
	if err != nil {
		t.Fatalf("Load(%+v): %v; want none", from, err)
	}
	return c
}

// mistakes fails the test unless the sources have some. Their file is PATH.
func mistakes(t testing.TB, from config.Sources) string {
	t.Helper()
	c, err := config.Load(from)
	if len(check.All(err)) == 0 {
		t.Fatalf("Load(%+v) = %v, %v; want mistakes", from, c, err)
	}
	if c != nil {
		t.Errorf("Load(%+v) returned a Config beside the error", from)
	}
	return pathOfFile.ReplaceAllString(err.Error(), "PATH")
}

var (
	comments   = regexp.MustCompile(`(?m)^ *# .*\n| # (file|flag|environment) .*$`)
	pathOfFile = regexp.MustCompile(`file /\S+\.yaml`)
)

// printed is the configuration as YAML, without the comments that say where a
// setting comes from.
func printed(t testing.TB, c *config.Config) string {
	t.Helper()
	var text strings.Builder
	if err := c.YAML(&text); err != nil {
		t.Fatalf("YAML: %v", err)
	}
	return comments.ReplaceAllString(text.String(), "")
}

// keys are those of every setting, in the order in which they are printed.
func keys(t testing.TB) (all []string) {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(printed(t, config.Default())), &document); err != nil {
		t.Fatal(err)
	}
	var walk func(key string, node *yaml.Node)
	walk = func(key string, node *yaml.Node) {
		if node.Kind != yaml.MappingNode || len(node.Content) == 0 {
			all = append(all, key)
			return
		}
		for i := 0; i < len(node.Content); i += 2 {
			walk(check.Join(key, node.Content[i].Value), node.Content[i+1])
		}
	}
	walk("", document.Content[0])
	return all
}
