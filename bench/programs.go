package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// caddyVersion is the release of Caddy that is built and compared with.
const caddyVersion = "v2.11.9"

// varnishModule puts request bodies into Varnish's keys.
const varnishModule = "/usr/lib/*/varnish/vmods/libvmod_bodyaccess.so"

// programs are those of this run.
type programs struct {
	paths    map[string]string // by name; what is missing is absent
	versions []string
	missing  []string // one sentence each, ready to be printed
}

// findPrograms builds pollbridge and looks for what the scenarios compare it
// with. What is missing of that is noted, not an error.
func (b *bench) findPrograms(ctx context.Context) (err error) {
	b.paths = map[string]string{}
	if b.paths[bareFiber], err = os.Executable(); err != nil {
		return err
	}
	if b.otherBuild != "" {
		path, err := filepath.Abs(b.otherBuild) // as servers run in folders of their own
		if err != nil {
			return err
		}
		if b.paths[otherBuild], err = exec.LookPath(path); err != nil {
			return fmt.Errorf("-pollbridge: %w", err)
		}
	}
	if b.paths[pollbridge], err = b.buildPollbridge(ctx); err != nil {
		return err
	}
	var needed []string
	for _, s := range b.scenarios {
		needed = append(needed, s.programs...)
	}
	for _, p := range []struct{ name, program, versionFlag, debian string }{
		{wrk, "wrk", "-v", "wrk"}, {nginx, "nginx", "-v", "nginx-light"}, {varnish, "varnishd", "-V", "varnish varnish-modules"},
	} {
		if slices.Contains(needed, p.name) && !b.look(ctx, p.name, p.program, p.versionFlag) {
			b.miss(p.name, "not installed; apt-get install "+p.debian)
		}
	}
	if slices.Contains(needed, caddy) {
		if err := b.buildCaddy(ctx); err != nil {
			b.miss(caddy, err.Error())
		}
	}
	if slices.Contains(needed, natsServer) {
		return b.buildNATS(ctx)
	}
	return ctx.Err()
}

func (b *bench) miss(name, why string) {
	b.missing = append(b.missing, fmt.Sprintf("%s is left out: %s", name, why))
}

// look finds a program, also where only root's path has it, and notes its version.
func (b *bench) look(ctx context.Context, name, program, versionFlag string) bool {
	if modules, _ := filepath.Glob(varnishModule); name == varnish && modules == nil {
		return false
	}
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		return false
	}
	// wrk exits with 1 after it printed its version.
	out, _ := exec.CommandContext(ctx, path, versionFlag).CombinedOutput()
	b.paths[name] = path
	b.versions = append(b.versions, name+" "+firstVersion(string(out)))
	return true
}

var versionPattern = regexp.MustCompile(`\d+\.\d+[\w.-]*`)

// firstVersion returns the first thing in a text that looks like a version.
func firstVersion(text string) string { return versionPattern.FindString(text) }

// buildPollbridge builds the program of the tree that this module stands in.
func (b *bench) buildPollbridge(ctx context.Context) (string, error) {
	if _, err := os.Stat("../cmd/pollbridge"); err != nil {
		return "", errors.New("there is no ../cmd/pollbridge: run it in the folder bench")
	}
	b.log("building pollbridge")
	path := filepath.Join(b.dir, "pollbridge")
	return path, goCommand(ctx, "..", nil, "build", "-o", path, "./cmd/pollbridge")
}

// buildNATS builds the server of NATS at the version that pollbridge's module pins.
func (b *bench) buildNATS(ctx context.Context) error {
	b.log("building nats-server")
	path := filepath.Join(b.dir, natsServer)
	if err := goCommand(ctx, "..", nil, "build", "-o", path, "github.com/nats-io/nats-server/v2"); err != nil {
		return err
	}
	b.look(ctx, natsServer, path, "--version")
	return ctx.Err()
}

// buildCaddy builds Caddy into out, unless an earlier run did.
func (b *bench) buildCaddy(ctx context.Context) error {
	folder, err := filepath.Abs("out/caddy-" + caddyVersion)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "caddy")
	if _, err := os.Stat(path); err != nil {
		b.log("building Caddy %s, which takes some minutes", caddyVersion)
		err := goCommand(ctx, b.dir, []string{"GOBIN=" + folder}, "install", "github.com/caddyserver/caddy/v2/cmd/caddy@"+caddyVersion)
		if err != nil {
			return err
		}
	}
	b.paths[caddy] = path
	b.versions = append(b.versions, caddy+" "+strings.TrimPrefix(caddyVersion, "v"))
	return nil
}

// goCommand runs the go command in a folder, with variables added to its
// environment.
func goCommand(ctx context.Context, dir string, variables []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), variables...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, tail(out))
	}
	return nil
}

// tail returns the end of what a program printed.
func tail(text []byte) string {
	const most = 2000
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
