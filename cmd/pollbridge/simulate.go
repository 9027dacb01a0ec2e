package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"pollbridge/internal/logqueue"
	"pollbridge/internal/period"
	"pollbridge/simulator"

	"github.com/dustin/go-humanize/english"
)

// simulateCmd serves the simulated signing API alone, for integration tests of what polls
// such an API.
type simulateCmd struct {
	Listen       string              `help:"Address to listen on." default:"127.0.0.1:9090"`
	SignAfter    simulator.Durations `help:"Time until a session ends: 3s, uniform:1s..5s, exp:3s or lognormal:3s,0.5." default:"3s"`
	Outcomes     simulator.Outcomes  `help:"What becomes of sessions, in proportion: succeeded=90,refused=5,expired=3,failed:40403=2." default:"succeeded"`
	Latency      simulator.Durations `help:"Time until a call is answered, in the forms of --sign-after." default:"0s"`
	OneShot      bool                `help:"Answer a final outcome once; later polls get 40402."`
	ForgetAfter  time.Duration       `help:"Time after its end until a session is unknown." default:"1h"`
	FileSize     simulator.Size      `help:"Size of the signed document, as 64KiB or 1.5MB." default:"64KiB"`
	FailedStatus string              `help:"HTTP status of failed answers: 200, or code for the first digits of the error code." enum:"200,code" default:"200"`
	AccessToken  []string            `help:"A credential to accept; may be repeated. Without it, all are accepted." sep:"none" placeholder:"TOKEN"`
	CORS         bool                `name:"cors" help:"Let pages of any origin call the API."`
	Fault        simulator.Fault     `help:"Fault that is on from the start, as in hang,probability=0.5,duration=30s,scope=status." default:"none"`
	Seed         uint64              `help:"Repeat the random choices of an earlier run; 0 chooses anew." default:"0"`
	Polls        bool                `help:"Print a line for every poll and every call that a fault hits too."`
}

// Help is shown by --help below the summary.
func (simulateCmd) Help() string {
	return "Everything else is switched while it runs: GET /_simulator/ lists how."
}

// Validate reports every mistake at once.
func (c *simulateCmd) Validate() error { return c.config(nil).Validate() }

func (c *simulateCmd) config(onEvent func(simulator.Event)) simulator.Config {
	return simulator.Config{
		SignAfter: c.SignAfter, Outcomes: c.Outcomes, Latency: c.Latency, OneShot: c.OneShot, ForgetAfter: c.ForgetAfter,
		FileSize: c.FileSize, FailedByCode: c.FailedStatus == "code", AccessTokens: c.AccessToken,
		CORS: c.CORS, Seed: c.Seed, OnEvent: onEvent,
	}
}

// Run serves until ctx ends and returns within two seconds of it.
func (c *simulateCmd) Run(ctx context.Context, out io.Writer) error {
	lines := logqueue.New(out, func(int) {}) // the simulator waits for nobody to read them
	defer lines.Close(500 * time.Millisecond)
	sim, err := simulator.New(c.config(func(e simulator.Event) { c.printEvent(lines, e) }))
	if err != nil {
		return err
	}
	defer sim.Close()
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %q: %w; accepted: a free address such as 127.0.0.1:9090 or :9090", c.Listen, err)
	}
	c.printHelp(out, localURL(listener.Addr().String()), sim.Stats().Seed)
	// Not by the configuration, so that the help comes before the first event.
	if err := sim.SetFault(c.Fault); err != nil {
		return errors.Join(fmt.Errorf("--fault: %w", err), listener.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for period.Pause(ctx, 250*time.Millisecond) == nil {
			sim.AdvanceAll() // sessions end by the clock even if nobody polls
		}
	}()
	return serveUntil(ctx, &http.Server{Handler: sim}, listener)
}

func (c *simulateCmd) printHelp(out io.Writer, url string, seed uint64) {
	credential := "test"
	if len(c.AccessToken) > 0 {
		credential = c.AccessToken[0]
	}
	body := fmt.Sprintf(`{"access_token":%q,"type":"pdf","country":"LT","code":"50001010006"}`, credential)
	fmt.Fprintf(out, "Simulated signing API on %s, seed %d, help on %s/_simulator/\n\n", url, seed, url)
	fmt.Fprintf(out, "  start   TOKEN=$(curl -s %s/en/smartid/sign.json -d '%s' | cut -d'\"' -f8); echo $TOKEN\n", url, body)
	fmt.Fprintf(out, "  poll    curl -s %s/en/smartid/sign/status/$TOKEN.json -d '{\"access_token\":%q}' | cut -c1-200\n", url, credential)
	fmt.Fprintf(out, "  fault   curl -s -X PUT %s/_simulator/fault -d '{\"mode\":\"error500\",\"duration\":\"10s\"}'\n\n", url)
}

func (c *simulateCmd) printEvent(out io.Writer, e simulator.Event) {
	if (e.Kind == simulator.EventPolled || e.Kind == simulator.EventFaulted) && !c.Polls {
		return
	}
	var detail string
	switch session := e.Session; e.Kind {
	case simulator.EventStarted:
		detail = fmt.Sprintf("%s, control code %s", session.Endpoint, session.ControlCode)
	case simulator.EventPolled:
		detail = fmt.Sprintf("poll %d, %s", session.Polls, session.State)
	case simulator.EventEnded:
		detail = fmt.Sprintf("%s after %s, %s", session.Outcome, toMillisecond(session.Ended.Sub(session.Started)), english.Plural(int(session.Polls), "poll", ""))
	case simulator.EventCollected:
		detail = fmt.Sprintf("%s after its end, by poll %d", toMillisecond(e.Time.Sub(session.Ended)), session.Polls)
	case simulator.EventFaultSet, simulator.EventFaultCleared, simulator.EventFaulted:
		detail = e.Fault.String()
	}
	fmt.Fprintf(out, "%s  %-8.8s  %-13s %s\n", e.Time.Format(clock), e.Session.Token, e.Kind, detail)
}
