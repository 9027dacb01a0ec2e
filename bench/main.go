package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if isBareServer(os.Args) {
		exitOn(runBareServer(os.Args[2:]))
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

// run measures the chosen scenarios one after the other and prints each table
// as soon as it is complete. Everything it started is stopped when it returns.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	opts, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	l, err := newLab(opts, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	r := newReport(out, opts.markdown)
	l.findTools(ctx)
	r.preface(l)
	for _, s := range opts.scenarios {
		l.log("%s: %s", s.name, s.title)
		if err := s.run(ctx, l, r); err != nil {
			// An interrupted command fails in its own words; the cause counts.
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
