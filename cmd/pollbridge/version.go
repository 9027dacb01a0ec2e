package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
)

// version is set by the linker in releases.
var version = ""

type versionCmd struct{}

// Run prints the version of the program and of Go.
func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintf(out, "pollbridge %s %s %s/%s\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// programVersion is the release, else the revision that was built, else "dev".
func programVersion() string { return cmp.Or(version, revision()) }

var revision = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return "dev-" + setting.Value[:min(12, len(setting.Value))]
			}
		}
	}
	return "dev"
})
