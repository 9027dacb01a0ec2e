package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"pollbridge/config"
)

// demoCmd shows what the bridge does, without any upstream.
type demoCmd struct {
	Duration time.Duration `help:"How long it takes. The simulated upstream is down in the middle of it." default:"30s"`
	Clients  int           `help:"Clients that poll." default:"50"`
	Sessions int           `help:"Signings under way at a time." default:"20"`
	Log      string        `help:"File to which the bridge logs. Without it, it does not." placeholder:"FILE"`
}

// Help is shown by --help below the summary.
func (demoCmd) Help() string {
	return "Everything runs in this process, on ports that nothing else uses. Nothing is stored."
}

// The bounds of the flags.
const (
	demoShortest     = 5 * time.Second
	demoMostClients  = 5000
	demoMostSessions = 1000
)

// Validate reports every mistake at once.
func (c *demoCmd) Validate() error {
	var mistakes []error
	if c.Duration < demoShortest {
		mistakes = append(mistakes, fmt.Errorf("--duration: %v is too short; accepted: %v or more, such as 30s", c.Duration, demoShortest))
	}
	if c.Clients < 1 || c.Clients > demoMostClients {
		mistakes = append(mistakes, fmt.Errorf("--clients: %d is out of range; accepted: 1 to %d", c.Clients, demoMostClients))
	}
	if c.Sessions < 1 || c.Sessions > demoMostSessions {
		mistakes = append(mistakes, fmt.Errorf("--sessions: %d is out of range; accepted: 1 to %d", c.Sessions, demoMostSessions))
	}
	return errors.Join(mistakes...)
}

// Run shows the demonstration on out until it is over or ctx ends, and sums it up.
// Nothing that it started is left when it returns.
func (c *demoCmd) Run(ctx context.Context, out io.Writer) error {
	log, closeLog, err := c.openLog()
	if err != nil {
		return err
	}
	defer closeLog()
	setup, err := newDemoSetup(c.Duration, log)
	if err != nil {
		return err
	}
	defer setup.stop()
	figures, err := c.play(ctx, setup, newDemoDisplay(out, os.Getenv))
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, demoSummary(figures))
	return err
}

// play lets the clients poll, and shows how they fare until it is over.
func (c *demoCmd) play(ctx context.Context, setup *demoSetup, display demoDisplay) (demoFigures, error) {
	defer display.close()
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	p := newDemoPlay(c, setup)
	p.start(ctx)
	err := p.show(ctx, display)
	cancel()
	p.wait()
	figures := p.figures(time.Now())
	if err == nil {
		display.show(figures)
	}
	return figures, err
}

// openLog returns where the bridge logs to, and what closes that.
func (c *demoCmd) openLog() (log *slog.Logger, closeLog func() error, err error) {
	if c.Log == "" {
		return slog.New(slog.DiscardHandler), func() error { return nil }, nil
	}
	file, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if because, ok := errors.AsType[*os.PathError](err); ok {
			err = because.Err
		}
		return nil, nil, fmt.Errorf("--log: %q: %w; accepted: a file that can be written", c.Log, err)
	}
	return slog.New(config.DefaultLogConfig().Handler(file)), file.Close, nil
}
