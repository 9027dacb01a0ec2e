// Command platforms checks that the module compiles for the platforms named (GOOS/GOARCH), its
// tests included: it checks types, which takes seconds where a build of all that is imported, as
// go vet needs it, takes minutes. It prints what does not compile, and then ends with 1.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "platforms:", err)
		os.Exit(1)
	}
	failed := false
	for _, platform := range os.Args[1:] {
		system, architecture, _ := strings.Cut(platform, "/")
		if !compiles(dir, system, architecture) {
			fmt.Fprintf(os.Stderr, "platforms: it does not compile for %s\n", platform)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func compiles(dir, system, architecture string) bool {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.LoadAllSyntax | packages.NeedModule, Dir: dir, Tests: true,
		Env: append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0"),
		ParseFile: func(set *token.FileSet, name string, text []byte) (*ast.File, error) {
			file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
			if file != nil && !strings.HasPrefix(name, dir+string(filepath.Separator)) {
				withoutBodies(file)
			}
			return file, err
		},
	}, "./...")
	if err != nil {
		fmt.Fprintln(os.Stderr, "platforms:", err)
		return false
	}
	compiles := true
	packages.Visit(loaded, nil, func(p *packages.Package) {
		if p.Module == nil || !p.Module.Main || strings.HasSuffix(p.ID, ".test") {
			return // what was left out is missed there
		}
		for _, err := range p.Errors {
			fmt.Fprintln(os.Stderr, err)
			compiles = false
		}
	})
	return compiles
}

// withoutBodies leaves of a file of another module what can be seen from outside.
func withoutBodies(file *ast.File) {
	for _, declared := range file.Decls {
		if function, ok := declared.(*ast.FuncDecl); ok {
			function.Body = nil
		}
	}
}
