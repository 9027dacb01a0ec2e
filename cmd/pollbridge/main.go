// Command pollbridge is a caching reverse proxy for signing APIs that can only be
// polled. See the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"pollbridge/config"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Stand in front of a signing API; the command that is meant where none is named."`
	Demo        demoCmd        `cmd:"" help:"Show what that does: a simulated API, the bridge and clients in one process."`
	Simulate    simulateCmd    `cmd:"" name:"simulate-upstream" help:"Serve a simulated signing API, for integration tests."`
	Listen      listenCmd      `cmd:"" help:"Receive, verify and show webhooks, while developing what receives them."`
	CheckConfig checkConfigCmd `cmd:"" help:"Validate the configuration and print it, secrets masked."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running bridge whether it is alive; for container images."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// Exit codes.
const (
	exitFailed  = 1
	exitMisused = 2 // the command line or the configuration is wrong
)

func main() {
	// The standard library's HTTP transport writes here, and quotes answers.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with everything it touches as a parameter.
func run(ctx context.Context, args []string, out, errOut io.Writer) (code int) {
	var line commands
	exited := false
	parser, err := kong.New(&line,
		kong.Name("pollbridge"),
		kong.Description("A caching reverse proxy for signing APIs that can only be polled."),
		kong.Writers(out, errOut),
		kong.Exit(func(status int) { exited, code = true, status }),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
	)
	if err != nil {
		panic(err) // the commands themselves are wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	selected, err := parser.Parse(args)
	if exited { // --help was answered
		return code
	}
	if err != nil {
		fmt.Fprintln(errOut, "pollbridge:", err)
		return exitMisused
	}
	if err := selected.Run(); err != nil {
		fmt.Fprintln(errOut, "pollbridge:", err)
		if _, misconfigured := errors.AsType[*config.Error](err); misconfigured {
			return exitMisused
		}
		return exitFailed
	}
	return 0
}
