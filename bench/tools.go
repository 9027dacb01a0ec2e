package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// tools are the programs of this run; an empty path means there is none.
type tools struct {
	pollbridge string
	wrk        string
	nginx      string
	varnish    string

	// varnishReadsBody tells whether Varnish can put the request body into
	// its key. Without, it keys by path alone, which is less work.
	varnishReadsBody bool

	versions []string
	missing  []string // one line each, ready to be printed
}

func lookTools(ctx context.Context, l *lab) tools {
	var t tools
	t.wrk = t.look(ctx, "wrk", "wrk", "-v")
	t.nginx = t.look(ctx, "nginx", "nginx-light", "-v")
	t.varnish = t.look(ctx, "varnishd", "varnish", "-V")
	if t.varnish != "" {
		t.varnishReadsBody = varnishCompiles(ctx, t.varnish, l.dir)
		if !t.varnishReadsBody {
			t.missing = append(t.missing, "varnish: module bodyaccess not installed, its key leaves the request body out, which favours it; apt-get install varnish-modules")
		}
	}
	var err error
	if t.pollbridge, err = findPollbridge(ctx, l); err != nil {
		t.missing = append(t.missing, "pollbridge: left out; "+err.Error())
	}
	return t
}

// look finds a program of a Debian package, also where only root's path has
// it, and notes its version, or how to get it.
func (t *tools) look(ctx context.Context, name, debian, versionFlag string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.missing = append(t.missing, fmt.Sprintf("%s: not installed, left out; apt-get install %s", name, debian))
		return ""
	}
	// wrk exits with 1 after it printed its version.
	out, _ := exec.CommandContext(ctx, path, versionFlag).CombinedOutput()
	t.versions = append(t.versions, strings.TrimSpace(name+" "+firstVersion(string(out))))
	return path
}

var versionPattern = regexp.MustCompile(`\d+\.\d+[\w.-]*`)

// firstVersion returns the first thing in a text that looks like a version.
func firstVersion(text string) string { return versionPattern.FindString(text) }

// findPollbridge returns the program to measure: the given one, or a build of
// the module that the working directory is in.
func findPollbridge(ctx context.Context, l *lab) (string, error) {
	if l.binary != "" {
		path, err := filepath.Abs(l.binary)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("-binary: %w", err)
		}
		return path, nil
	}
	path := filepath.Join(l.dir, "pollbridge")
	l.log("building pollbridge")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "pollbridge/cmd/pollbridge").CombinedOutput()
	if err != nil {
		return "", errors.New("go build ./cmd/pollbridge: " + firstLine(string(out), err.Error()))
	}
	return path, nil
}

// firstLine returns the first line of text that says something: not the
// "# package" that the go command begins with.
func firstLine(text, otherwise string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return otherwise
}
