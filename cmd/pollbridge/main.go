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
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Serve in front of a signing API. The command where none is named but an upstream is."`
	Demo        demoCmd        `cmd:"" help:"Show what serve does: a simulated API, the bridge and clients in one process."`
	Simulate    simulateCmd    `cmd:"" name:"simulate-upstream" help:"Serve a simulated signing API, for integration tests."`
	Listen      listenCmd      `cmd:"" help:"Receive, verify and show webhooks, while you develop a receiver."`
	CheckConfig checkConfigCmd `cmd:"" help:"Validate the configuration and print it, secrets masked."`
	Export      exportCmd      `cmd:"" help:"Write everything stored into a file: to move it, or as a backup."`
	Import      importCmd      `cmd:"" help:"Put what was exported into an empty store."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running bridge whether it is alive; for container images."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	operateCommands
}

// Exit codes.
const (
	exitFailed  = 1
	exitMisused = 2 // the command line or the configuration is wrong
	exitRefused = 3 // a running bridge has refused what a command asked for
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
		kong.Bind(&streams{&input{Reader: os.Stdin}, out, errOut}),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true}),
	)
	if err != nil {
		panic(err) // the commands themselves are wrong
	}
	idle := len(args) == 0 && os.Getenv("POLLBRIDGE_UPSTREAM_URL") == ""
	args = completed(args, idle)
	if err := knownCommand(args, parser.Model.Node); err != nil {
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
	err = selected.Run()
	if err != nil {
		tell(errOut, err)
	}
	return exitCode(err)
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

// knownCommand returns an error that lists the commands unless arguments begin with a flag
// or one of them, and those of a group of commands with one of the group.
func knownCommand(args []string, group *kong.Node) error {
	for len(group.Children) > 0 {
		var names []string
		list := &strings.Builder{}
		for _, command := range group.Children {
			if !command.Hidden {
				names = append(names, command.Name)
				fmt.Fprintf(list, "\n  %-18s %s", command.Name, command.Help)
			}
		}
		if len(args) > 0 && strings.HasPrefix(args[0], "-") {
			return nil
		}
		at := -1
		if len(args) > 0 {
			at = slices.IndexFunc(group.Children, func(command *kong.Node) bool { return command.Name == args[0] })
		}
		if at < 0 {
			return fmt.Errorf("%s\n\nCommands:%s", noCommand(args, names), list)
		}
		args, group = args[1:], group.Children[at]
	}
	return nil
}

func noCommand(args, names []string) string {
	if len(args) == 0 {
		return "one of its commands is needed"
	}
	problem := "that is not a command (it is not shown)"
	if word.MatchString(args[0]) {
		problem = "unknown command " + args[0]
	}
	if nearest := check.Nearest(args[0], names); nearest != "" {
		problem += "; did you mean " + nearest + "?"
	}
	return problem
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
