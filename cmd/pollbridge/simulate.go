package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pollbridge/simulator"
)

// simulateCmd serves the simulated signing API alone, for integration tests of
// what polls such an API.
type simulateCmd struct {
	Listen       string                 `help:"Address to listen on." default:"127.0.0.1:9090"`
	SignAfter    simulator.Durations    `help:"Time until a session ends: 3s, uniform:1s..5s, exp:3s or lognormal:3s,0.5." default:"3s"`
	Outcomes     simulator.Outcomes     `help:"What becomes of sessions, in proportion: succeeded=90,refused=5,expired=3,failed:40403=2." default:"succeeded"`
	Latency      simulator.Durations    `help:"Time until a call is answered, in the forms of --sign-after." default:"0s"`
	OneShot      bool                   `help:"Answer a final outcome once; later polls get 40402."`
	ForgetAfter  time.Duration          `help:"Time after its end until a session is unknown." default:"1h"`
	FileSize     simulator.Sizes        `help:"Size of the signed document: 64KiB, uniform:10KiB..1MiB, exp:64KiB or lognormal:64KiB,1." default:"64KiB"`
	FailedStatus simulator.FailedStatus `help:"HTTP status of failed answers: 200, or code for the first digits of the error code." default:"200"`
	AccessToken  []string               `help:"A credential to accept; may be repeated. Without it, all are accepted." sep:"none" placeholder:"TOKEN"`
	ExtraFields  bool                   `help:"Add a JSON field that is documented nowhere to every answer."`
	MaxSessions  int                    `help:"Sessions held in memory; beyond it the oldest are forgotten." default:"200000"`
	Fault        simulator.Fault        `help:"Fault that is on from the start, as in hang,probability=0.5,duration=30s,scope=status." default:"none"`
	Seed         uint64                 `help:"Repeat the random choices of an earlier run; 0 chooses anew." default:"0"`
	Polls        bool                   `help:"Print a line for every poll and every call struck by a fault too."`
}

// Help is shown by --help below the summary.
func (simulateCmd) Help() string {
	return "Everything else is switched while it runs: GET /_simulator/ lists how."
}

// Validate reports what the types of the flags cannot, every mistake at once.
func (c *simulateCmd) Validate() error {
	var mistakes []error
	if c.ForgetAfter <= 0 {
		mistakes = append(mistakes, fmt.Errorf("--forget-after: %v is too short; accepted: a duration above 0, such as 1h", c.ForgetAfter))
	}
	if c.MaxSessions < 1 {
		mistakes = append(mistakes, fmt.Errorf("--max-sessions: %d is too few; accepted: 1 or more", c.MaxSessions))
	}
	if slices.Contains(c.AccessToken, "") {
		mistakes = append(mistakes, errors.New("--access-token: it is empty; accepted: a text of at least one character"))
	}
	return errors.Join(mistakes...)
}

// Run serves until ctx ends and returns within two seconds of it.
func (c *simulateCmd) Run(ctx context.Context, out io.Writer) error {
	journal := &simulationJournal{out: out, polls: c.Polls}
	sim, err := simulator.New(c.config(journal.note))
	if err != nil {
		return err
	}
	defer sim.Close()
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %q: %w; accepted: a free address such as 127.0.0.1:9090 or :9090", c.Listen, err)
	}
	began := time.Now()
	journal.banner(simulationURL(listener.Addr()), c.credential(), sim.Stats().Seed)
	// Not by the configuration, so that the banner comes before the first event.
	if err := sim.SetFault(c.Fault); err != nil {
		return errors.Join(fmt.Errorf("--fault: %w", err), listener.Close())
	}
	err = serveSimulation(ctx, sim, listener)
	journal.summary(sim.Stats(), time.Since(began))
	return err
}

func (c *simulateCmd) config(onEvent func(simulator.Event)) simulator.Config {
	return simulator.Config{
		SignAfter:    c.SignAfter,
		Outcomes:     c.Outcomes,
		Latency:      c.Latency,
		OneShot:      c.OneShot,
		ForgetAfter:  c.ForgetAfter,
		FileSize:     c.FileSize,
		FailedStatus: c.FailedStatus,
		AccessTokens: c.AccessToken,
		ExtraFields:  c.ExtraFields,
		MaxSessions:  c.MaxSessions,
		Seed:         c.Seed,
		OnEvent:      onEvent,
	}
}

// credential is one that the printed commands may use.
func (c *simulateCmd) credential() string {
	if len(c.AccessToken) > 0 {
		return c.AccessToken[0]
	}
	return "test"
}

// simulationURL is where a client on this machine finds addr.
func simulationURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr.String()
}

// serveSimulation returns nil when ctx ended, and only after all requests have.
func serveSimulation(ctx context.Context, sim *simulator.Simulator, listener net.Listener) error {
	server := &http.Server{
		Handler:           sim,
		ReadHeaderTimeout: 10 * time.Second,
		// Broken connections are what faults are for; they are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stopSimulation(server, sim)

	failed := make(chan error, 1)
	serving.Go(func() { failed <- server.Serve(listener) })

	// Sessions end by the clock even if nobody polls, and the journal tells.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			sim.Settle()
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// stopSimulation gives what is being answered a moment and cuts the rest short: a
// hung request would otherwise never end.
func stopSimulation(server *http.Server, sim *simulator.Simulator) {
	grace, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	server.Shutdown(grace)
	sim.Close()
	server.Close()
}

// simulationJournal prints what happens, a line an event. The simulator calls it
// from one goroutine at a time.
type simulationJournal struct {
	out   io.Writer
	polls bool
}

func (j *simulationJournal) banner(url, credential string, seed uint64) {
	body := fmt.Sprintf(`{"access_token":%q,"type":"pdf","country":"LT","code":"50001010006"}`, credential)
	fmt.Fprintf(j.out, "Simulated signing API on %s, seed %d, help on %s/_simulator/\n\n", url, seed, url)
	fmt.Fprintf(j.out, "  start   TOKEN=$(curl -s %s/en/smartid/sign.json --json '%s' | cut -d'\"' -f8); echo $TOKEN\n", url, body)
	fmt.Fprintf(j.out, "  poll    curl -s %s/en/smartid/sign/status/$TOKEN.json --json '{\"access_token\":%q}' | cut -c1-200\n", url, credential)
	fmt.Fprintf(j.out, "  fault   curl -s -X PUT %s/_simulator/fault --json '{\"mode\":\"error500\",\"duration\":\"10s\"}'\n\n", url)
}

func (j *simulationJournal) note(e simulator.Event) {
	if (e.Kind == simulator.EventPolled || e.Kind == simulator.EventStruck) && !j.polls {
		return
	}
	word, detail := describeSimulated(e)
	fmt.Fprintf(j.out, "%s  %-8.8s  %-10s %s\n", e.Time.Format("15:04:05.000"), e.Session.Token, word, detail)
}

func describeSimulated(e simulator.Event) (word, detail string) {
	session := e.Session
	switch e.Kind {
	case simulator.EventStarted:
		return "started", fmt.Sprintf("%s, control code %s", session.Endpoint, session.ControlCode)
	case simulator.EventPolled:
		return "polled", fmt.Sprintf("poll %d, %s", session.Polls, session.State)
	case simulator.EventStruck:
		return "struck", string(e.Fault.Mode)
	case simulator.EventEnded:
		return simulatedWord(session.Outcome.Base()), fmt.Sprintf("after %s, %s%s",
			toMillisecond(session.Ended.Sub(session.Started)), counted(session.Polls, "poll"), simulatedCode(session.Outcome))
	case simulator.EventCollected:
		return "collected", fmt.Sprintf("%s after its end, by poll %d", toMillisecond(e.Time.Sub(session.Ended)), session.Polls)
	case simulator.EventForgotten:
		return "forgotten", counted(session.Polls, "poll")
	case simulator.EventReopened:
		return "reopened", "waits until it is ended"
	case simulator.EventFaultSet:
		return "fault on", e.Fault.String()
	case simulator.EventFaultCleared:
		return "fault off", e.Fault.String()
	}
	return string(e.Kind), ""
}

func simulatedWord(o simulator.Outcome) string {
	if o == simulator.Succeeded {
		return "signed"
	}
	return string(o)
}

func simulatedCode(o simulator.Outcome) string {
	if o.Code() == 0 {
		return ""
	}
	return fmt.Sprintf(", code %d", o.Code())
}

func (j *simulationJournal) summary(stats simulator.Stats, ran time.Duration) {
	var ended []string
	for _, o := range []simulator.Outcome{simulator.Succeeded, simulator.Refused, simulator.Expired, simulator.Failed, simulator.Forgotten} {
		if n := stats.Ended[o]; n > 0 {
			ended = append(ended, fmt.Sprintf("%d %s", n, simulatedWord(o)))
		}
	}
	if stats.Waiting > 0 {
		ended = append(ended, fmt.Sprintf("%d waiting", stats.Waiting))
	}
	sessions := counted(stats.Starts, "session")
	if len(ended) > 0 {
		sessions += " (" + strings.Join(ended, ", ") + ")"
	}
	fmt.Fprintf(j.out, "Stopped after %s: %s, %s, %s struck by faults, at most %s at once.\n",
		toMillisecond(ran), sessions, counted(stats.Polls, "poll"), counted(stats.Faulted, "call"), counted(int64(stats.MaxInFlight), "call"))
}

func toMillisecond(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
