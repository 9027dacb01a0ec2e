package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		exitOn(serveBareFiber(os.Args[2:]))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitOn(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exitOn(err error) {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: interrupted; everything it started is stopped")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A scenario is one question and the measurement that answers it.
type scenario struct {
	name     string // as -only takes it
	title    string
	programs []string // needed or compared with, besides pollbridge
	run      func(ctx context.Context, b *bench, names []string) error
}

// scenarios returns all scenarios in the order in which they are run.
func scenarios() (all []scenario) {
	for _, s := range loadScenarios() {
		all = append(all, s.scenario())
	}
	return append(all,
		scenario{"transfer", "a document of 40 MB each way", []string{nginx, caddy}, runTransfer},
		scenario{"memory", "one million pending sessions", nil, runMemory},
		scenario{"prompt", "from the change of a session to its webhook", nil, runPrompt},
		scenario{"sight", "a client's first poll of a session that is wanted", nil, runSight},
		scenario{"deliveries", "durable events a second, end to end", nil, runDeliveries},
		scenario{"schedule", "polls and delays by the schedule", nil, runSchedule},
		scenario{"watches", "what a watched session costs", nil, runWatches},
		scenario{"takeover", "from a crash to all watches", nil, runTakeover},
		scenario{"fleet", "replicas that share a cluster of NATS", []string{natsServer}, runFleet},
		scenario{"scale", "how far a fleet goes", []string{natsServer}, runScale},
		scenario{"steady", "memory under a steady load of signings", nil, runSteady},
	)
}

// run measures the chosen scenarios one after the other and prints each table
// as soon as it is complete. Everything it started is stopped when it returns.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	opts, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	b, err := newBench(opts, out, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.findPrograms(ctx); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	b.preface()
	for _, s := range b.scenarios {
		if slices.Contains(s.programs, wrk) && b.paths[wrk] == "" {
			b.log("%s: left out, it needs wrk", s.name)
			continue
		}
		b.log("%s: %s", s.name, s.title)
		if err := s.run(ctx, b, b.servers(s.programs)); err != nil {
			// An interrupted command fails in its own words; the cause counts.
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
