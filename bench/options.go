package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options is what the command line decides.
type options struct {
	scenarios   []scenario
	rounds      int
	duration    time.Duration
	connections int
	binary      string
	markdown    bool
}

// parseOptions reads the command line. Its error names every mistake at once;
// the usage text goes to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	var only string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(w)
	fs.StringVar(&only, "only", "", "comma-separated scenarios to run: "+scenarioNames()+" (default all)")
	fs.IntVar(&o.rounds, "rounds", 5, "how often each server is measured, in turn with the others")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "length of one measurement")
	fs.IntVar(&o.connections, "connections", 64, "client connections")
	fs.StringVar(&o.binary, "binary", "", "pollbridge program to measure (default: build ./cmd/pollbridge)")
	fs.BoolVar(&o.markdown, "markdown", false, "print Markdown tables")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	var mistakes []error
	if fs.NArg() > 0 {
		mistakes = append(mistakes, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	var err error
	if o.scenarios, err = chooseScenarios(only); err != nil {
		mistakes = append(mistakes, err)
	}
	if o.rounds < 1 || o.rounds > 100 {
		mistakes = append(mistakes, fmt.Errorf("-rounds %d: want 1 to 100", o.rounds))
	}
	// wrk counts whole seconds.
	if o.duration < time.Second || o.duration > 10*time.Minute || o.duration%time.Second != 0 {
		mistakes = append(mistakes, fmt.Errorf("-duration %s: want whole seconds, 1s to 10m", o.duration))
	}
	if o.connections < wrkThreads || o.connections > 10_000 {
		mistakes = append(mistakes, fmt.Errorf("-connections %d: want %d to 10000", o.connections, wrkThreads))
	}
	return o, errors.Join(mistakes...)
}

// chooseScenarios returns the scenarios of a comma-separated list in the
// order in which they are always run; an empty list means all.
func chooseScenarios(list string) ([]scenario, error) {
	if list == "" {
		return scenarios(), nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []scenario
	for _, s := range scenarios() {
		if wanted[s.name] {
			chosen = append(chosen, s)
			delete(wanted, s.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("-only %q: want some of %s", name, scenarioNames())
	}
	return chosen, nil
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}
