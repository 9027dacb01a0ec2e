package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options is what the command line decides.
type options struct {
	scenarios   []scenario
	rounds      int
	duration    time.Duration
	connections int
	steady      time.Duration
	otherBuild  string // path of a program; empty: none
}

// parseOptions reads the command line. Its error names every mistake at once;
// the usage text goes to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	var only string
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(w)
	fs.StringVar(&only, "only", "", "comma-separated `scenarios` to run: "+strings.Join(names, ",")+" (default all)")
	fs.IntVar(&o.rounds, "rounds", 5, "how often each server is measured, in turn with the others")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "length of one measurement under load")
	fs.IntVar(&o.connections, "connections", 64, "client connections")
	fs.DurationVar(&o.steady, "steady", 10*time.Minute, "length of the scenario steady")
	fs.StringVar(&o.otherBuild, "pollbridge", "", "`path` of another build of pollbridge, measured beside this tree's")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	var mistakes []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	want(fs.NArg() == 0, "unexpected argument %q", fs.Arg(0))
	want(o.rounds >= 1 && o.rounds <= 100, "-rounds %d: want 1 to 100", o.rounds)
	// wrk counts whole seconds.
	want(o.duration >= time.Second && o.duration <= 10*time.Minute && o.duration%time.Second == 0,
		"-duration %s: want whole seconds, 1s to 10m", o.duration)
	want(o.connections >= wrkThreads && o.connections <= 10_000, "-connections %d: want %d to 10000", o.connections, wrkThreads)
	want(o.steady >= time.Second && o.steady <= 24*time.Hour, "-steady %s: want 1s to 24h", o.steady)
	chosen := strings.Split(strings.ReplaceAll(only, " ", ""), ",")
	for _, s := range scenarios() {
		if only == "" || slices.Contains(chosen, s.name) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	for _, name := range chosen {
		want(only == "" || slices.Contains(names, name), "-only %q: want some of %s", name, strings.Join(names, ","))
	}
	return o, errors.Join(mistakes...)
}
