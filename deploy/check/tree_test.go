package check

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"pollbridge/internal/testkit"
)

// tree is the root of the checkout.
const tree = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, path))
	testkit.NoError(t, err)
	return string(text)
}

// run runs a program to its end, and fails with what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// programs is a folder for what is built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "pollbridge-deploy"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// program builds the program, as the image has it, once.
var program = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(programs, "pollbridge")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "./cmd/pollbridge")
	build.Dir = tree
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// compose reads a file for Docker Compose as Compose does.
func compose(t *testing.T, path string, environment ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{path}, cli.WithEnv(environment), cli.WithResolvedPaths(true))
	testkit.NoError(t, err)
	project, err := options.LoadProject(context.Background())
	testkit.NoError(t, err)
	return project
}

// storeKey is a key of a store.
var storeKey = strings.Repeat("0123456789abcdef", 4)

func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	testkit.NoError(t, os.WriteFile(path, []byte(storeKey), 0o600))
	return path
}

// checkConfig has the program read settings from an environment. Files that they name are taken
// for the key of a store.
func checkConfig(t *testing.T, environment map[string]string) {
	t.Helper()
	binary, err := program()
	testkit.NoError(t, err)
	key := keyFile(t)
	cmd := exec.Command(binary, "check-config")
	for name, value := range environment {
		if strings.HasSuffix(name, "_FILE") {
			value = key
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("check-config: %v\n%s", err, out)
	}
}
