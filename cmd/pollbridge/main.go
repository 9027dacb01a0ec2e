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
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"pollbridge/internal/check"
	"pollbridge/internal/logqueue"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Stand in front of a signing API; meant where no command is named but an upstream is."`
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
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
	)
	if err != nil {
		panic(err) // the commands themselves are wrong
	}
	idle := len(args) == 0 && os.Getenv("POLLBRIDGE_UPSTREAM_URL") == ""
	args = completed(args, idle)
	if err := knownCommand(args[0], parser.Model.Children); err != nil {
		tell(errOut, err)
		return exitMisused
	}
	selected, err := parser.Parse(args)
	if exited { // --help was answered
		if idle {
			tell(errOut, errors.New("no command was given, and POLLBRIDGE_UPSTREAM_URL is not set"))
			return exitMisused
		}
		return code
	}
	if err != nil {
		tell(errOut, withoutArgument(err))
		return exitMisused
	}
	if err := selected.Run(); err != nil {
		tell(errOut, err)
		if _, misconfigured := errors.AsType[check.Mistake](err); misconfigured {
			return exitMisused
		}
		return exitFailed
	}
	return 0
}

// completed are arguments with a command: the one that is meant where none is named, and
// those that other programs have as well.
func completed(args []string, idle bool) []string {
	switch {
	case idle:
		return []string{"--help"}
	case len(args) == 0:
		return []string{"serve"}
	case args[0] == "--version":
		return []string{"version"}
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	default:
		return args
	}
}

// word is what may be shown of an argument: any other could be a secret.
var word = regexp.MustCompile(`^[a-z-]{1,30}$`)

// knownCommand returns an error that lists the commands unless the first argument is a
// flag or one of them.
func knownCommand(first string, commands []*kong.Node) error {
	var names []string
	list := &strings.Builder{}
	for _, command := range commands {
		names = append(names, command.Name)
		fmt.Fprintf(list, "\n  %-18s %s", command.Name, command.Help)
	}
	if strings.HasPrefix(first, "-") || slices.Contains(names, first) {
		return nil
	}
	problem := "the first argument is not a command"
	if word.MatchString(first) {
		problem = "unknown command " + first
	}
	if nearest := check.Nearest(first, names); nearest != "" {
		problem += "; did you mean " + nearest + "?"
	}
	return fmt.Errorf("%s\n\nCommands:%s", problem, list)
}

func withoutArgument(err error) error {
	if argument, found := strings.CutPrefix(err.Error(), "unexpected argument "); found && !word.MatchString(argument) {
		return errors.New("unexpected argument (it is not shown)")
	}
	return err
}

// tell writes why the program ends. Standard error may be a pipe that nobody reads, and
// that must not keep the program from ending.
func tell(errOut io.Writer, err error) {
	queue := logqueue.New(errOut, func(int) {})
	fmt.Fprintln(queue, "pollbridge:", err)
	queue.Close(time.Second)
}
