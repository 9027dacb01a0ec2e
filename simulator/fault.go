package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is what a fault does to a call; "the answer" is the one that would have been given.
// Besides those named here, error and any status from 400 to 599 is one: error403.
type Mode string

// The modes. Those that are sent in place of the answer have no effect upstream.
const (
	None             Mode = "none"              // no fault
	Error500         Mode = "error500"          // HTTP 500 with code 50000
	Error502         Mode = "error502"          // HTTP 502 with a page of HTML, as all error modes but Error500
	Error413         Mode = "error413"          // the same with 413, at once: the request's body is not read
	Transient        Mode = "transient"         // HTTP 200 with code 50001 or 50002
	Hang             Mode = "hang"              // no answer until the fault is lifted, then the connection is dropped
	Reset            Mode = "reset"             // TCP RST
	Drop             Mode = "drop"              // the connection is closed without an answer
	Garbage          Mode = "garbage"           // HTTP 200, application/json, bytes that are no text
	HTML             Mode = "html"              // HTTP 200 with a page of HTML
	HalfBody         Mode = "half-body"         // the whole Content-Length, half of the answer, then closed
	WrongLength      Mode = "wrong-length"      // a Content-Length of half of the answer that follows
	TruncatedChunked Mode = "truncated-chunked" // chunked, half of the answer, no last chunk
	Gzip             Mode = "gzip"              // the answer compressed, whether or not it was accepted
	HTTP10           Mode = "http10"            // the answer in HTTP/1.0, which ends with the connection
	Redirect         Mode = "redirect"          // HTTP 302 to a page that is not there
	Empty            Mode = "empty"             // HTTP 200 without a body
	Slow             Mode = "slow"              // the answer in 20 pieces, with Fault.Pace between them
	IdleClose        Mode = "idle-close"        // the answer, then the connection is closed unannounced
)

// Fault is trouble that can be switched on while the Simulator runs. The zero value is no
// fault. Its text form, for flags, is the mode followed by what differs from the defaults:
//
//	hang
//	error500,probability=0.3,duration=30s,scope=status
//	error429,retry_after=8s
type Fault struct {
	Mode Mode
	// Probability that a call is hit, above 0 and at most 1. Zero means 1.
	Probability float64
	// Duration after which the fault lifts itself. Zero means never.
	Duration time.Duration
	// StatusOnly spares all calls but polls. Control calls are never hit.
	StatusOnly bool
	// Token is that of the only session whose calls it hits. Empty means all.
	Token string
	// RetryAfter is what error modes ask for, in whole seconds. Zero means nothing.
	RetryAfter time.Duration
	// Pace is the pause between the pieces of Slow. Zero means 250ms.
	Pace time.Duration
}

const (
	defaultPace  = 250 * time.Millisecond
	faultOptions = "probability, duration, scope, token, retry_after, pace"
)

// UnmarshalText reads the text form. The error names the part that is wrong and what is
// accepted.
func (f *Fault) UnmarshalText(text []byte) error {
	var read Fault
	for option := range strings.SplitSeq("mode="+string(text), ",") {
		name, value, _ := strings.Cut(option, "=")
		if err := read.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	*f = read
	return f.validate()
}

// set reads one option, or the mode.
func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "mode":
		f.Mode = Mode(value)
		err = f.Mode.validate()
	case "probability":
		f.Probability, err = positive(value, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
	case "duration":
		f.Duration, err = positive(value, time.ParseDuration)
	case "retry_after":
		f.RetryAfter, err = positive(value, time.ParseDuration)
	case "pace":
		f.Pace, err = positive(value, time.ParseDuration)
	case "scope":
		f.StatusOnly = value == "status"
		if !f.StatusOnly && value != "all" {
			err = fmt.Errorf("%q is not a scope; accepted: all, status", value)
		}
	case "token":
		f.Token = value
	default:
		return fmt.Errorf("%q is not an option of faults; accepted: %s", name, faultOptions)
	}
	return field(name, err)
}

// positive refuses a zero that somebody wrote, since the field's zero means something
// else.
func positive[T float64 | time.Duration](text string, parse func(string) (T, error)) (T, error) {
	v, err := parse(text)
	if err != nil || !(v > 0) {
		return 0, fmt.Errorf("%q is out of range; accepted: a probability above 0 and at most 1, or a duration such as 30s", text)
	}
	return v, nil
}

// String is the text form.
func (f Fault) String() string {
	text := string(cmp.Or(f.Mode, None))
	option := func(name string, value any, is bool) {
		if is {
			text += fmt.Sprintf(",%s=%v", name, value)
		}
	}
	option("probability", f.Probability, f.Probability != 0)
	option("duration", f.Duration, f.Duration != 0)
	option("scope", "status", f.StatusOnly)
	option("token", f.Token, f.Token != "")
	option("retry_after", f.RetryAfter, f.RetryAfter != 0)
	option("pace", f.Pace, f.Pace != 0)
	return text
}

func (f Fault) validate() error {
	var probability error
	if !(f.Probability >= 0 && f.Probability <= 1) { // so that NaN fails too
		probability = fmt.Errorf("%v is out of range; accepted: above 0, at most 1", f.Probability)
	}
	return errors.Join(
		field("mode", cmp.Or(f.Mode, None).validate()),
		field("probability", probability),
		field("duration", notNegative(f.Duration)),
		field("retry_after", notNegative(f.RetryAfter)),
		field("pace", notNegative(f.Pace)),
	)
}

func (m Mode) validate() error {
	if effects[m] != nil || m == None || m.errorStatus() != 0 {
		return nil
	}
	names := "none, error400 to error599"
	for _, known := range slices.Sorted(maps.Keys(effects)) {
		names += ", " + string(known)
	}
	return fmt.Errorf("%q is not a fault; accepted: %s", string(m), names)
}

// errorStatus is the HTTP status of an error mode, 0 for all others.
func (m Mode) errorStatus() int {
	digits, ok := strings.CutPrefix(string(m), "error")
	status, err := strconv.Atoi(digits)
	if !ok || err != nil || len(digits) != 3 || status < 400 || status > 599 {
		return 0
	}
	return status
}

// activeFault is the fault that is on.
type activeFault struct {
	Fault
	lifted chan struct{} // closed when it is lifted, for the calls it holds
	timer  *time.Timer   // lifts it; nil if it has no end
}

// SetFault switches a fault on in place of the one before it, whose held calls are
// dropped. A fault with mode None lifts the one that is on. The error names every mistake
// in f.
func (s *Simulator) SetFault(f Fault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("simulator: fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFaultLocked()
	if f.Mode == "" || f.Mode == None {
		return nil
	}
	on := &activeFault{Fault: f, lifted: make(chan struct{})}
	if f.Duration > 0 {
		on.timer = time.AfterFunc(f.Duration, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.fault == on {
				s.clearFaultLocked()
			}
		})
	}
	s.fault = on
	s.tellLocked(Event{Kind: EventFaultSet, Time: time.Now(), Fault: f})
	return nil
}

// ClearFault lifts the fault; calls held by a hang have their connection dropped. Without
// a fault it does nothing.
func (s *Simulator) ClearFault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFaultLocked()
}

func (s *Simulator) clearFaultLocked() {
	on := s.fault
	if on == nil {
		return
	}
	if on.timer != nil {
		on.timer.Stop()
	}
	close(on.lifted)
	s.fault = nil
	s.tellLocked(Event{Kind: EventFaultCleared, Time: time.Now(), Fault: on.Fault})
}

// Fault returns the fault that is on; its Mode is None without one.
func (s *Simulator) Fault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return Fault{Mode: None}
	}
	return s.fault.Fault
}

// hits decides whether the fault that is on hits this call.
func (s *Simulator) hits(w http.ResponseWriter, r *http.Request, c call) (faulted, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	on := s.fault
	switch {
	case on == nil,
		on.StatusOnly && c.kind != statusCall,
		on.Token != "" && on.Token != c.token,
		on.Probability > 0 && s.random.Float64() >= on.Probability:
		return faulted{}, false
	}
	s.stats.Faulted++
	e := Event{Kind: EventFaulted, Time: time.Now(), Fault: on.Fault}
	if asked, ok := s.findLocked(c.token); ok {
		e.Session = asked.Session
	}
	s.tellLocked(e)
	return faulted{s: s, w: w, r: r, call: c, fault: on.Fault, lifted: on.lifted}, true
}
