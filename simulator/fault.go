package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is what a fault does to a call. Each mode's effect is listed at its
// constant; "the answer" is the one that would have been given.
type Mode string

// The modes. HalfBody and TruncatedChunked count as having answered: they alone
// use up a one-shot final answer.
const (
	None             Mode = "none"              // no fault
	Error500         Mode = "error500"          // HTTP 500 with code 50000
	Error502         Mode = "error502"          // HTTP 502 with a page of HTML, as a gateway answers
	Transient        Mode = "transient"         // HTTP 200 with code 50001 or 50002
	Hang             Mode = "hang"              // no answer until the fault is lifted, then the connection is dropped
	Reset            Mode = "reset"             // TCP RST
	Drop             Mode = "drop"              // the connection is closed without an answer
	Garbage          Mode = "garbage"           // HTTP 200, application/json, random bytes
	HTML             Mode = "html"              // HTTP 200 with a page of HTML
	HalfBody         Mode = "half-body"         // the whole Content-Length, half of the answer, then closed
	WrongLength      Mode = "wrong-length"      // a Content-Length of half of the answer that follows
	TruncatedChunked Mode = "truncated-chunked" // chunked, half of the answer, no last chunk
	Gzip             Mode = "gzip"              // the answer compressed, whether or not it was accepted
	Redirect         Mode = "redirect"          // HTTP 302 to /_simulator/redirected, which counts who follows
	Empty            Mode = "empty"             // HTTP 200 without a body
	Slow             Mode = "slow"              // the answer in 20 pieces, with Fault.Pace between them
	IdleClose        Mode = "idle-close"        // the answer, then the connection is closed unannounced
)

// Scope is the calls that a fault strikes. Control calls are never struck.
type Scope string

const (
	// ScopeAll strikes every call of the API.
	ScopeAll Scope = "all"
	// ScopeStatus strikes status calls alone.
	ScopeStatus Scope = "status"
)

// Fault is trouble that can be switched on while the Simulator runs. The zero
// value is no fault. Its text form, for flags, is the mode followed by what
// differs from the defaults:
//
//	hang
//	error500,probability=0.3,duration=30s,scope=status
//	slow,pace=100ms
type Fault struct {
	Mode Mode
	// Probability that a call is struck, above 0 and at most 1. Zero means 1.
	Probability float64
	// Duration after which the fault lifts itself. Zero means never.
	Duration time.Duration
	// Scope is the calls it strikes. The zero value is ScopeAll.
	Scope Scope
	// Pace is the pause between the pieces of Slow. Zero means 250ms.
	Pace time.Duration
}

const faultForms = "a mode, with options as in hang,probability=0.5,duration=30s,scope=status,pace=250ms"

// ParseFault reads the text form. The error names the part that is wrong and what
// is accepted.
func ParseFault(text string) (Fault, error) {
	name, options, _ := strings.Cut(strings.TrimSpace(text), ",")
	mode, err := parseMode(strings.TrimSpace(name))
	if err != nil {
		return Fault{}, err
	}
	f := Fault{Mode: mode}
	for options != "" {
		var option string
		option, options, _ = strings.Cut(options, ",")
		if err := f.setOption(strings.TrimSpace(option)); err != nil {
			return Fault{}, err
		}
	}
	return f, f.Validate()
}

func (f *Fault) setOption(option string) error {
	name, value, ok := strings.Cut(option, "=")
	if !ok {
		return fmt.Errorf("%q is not an option; accepted: %s", option, faultForms)
	}
	var err error
	switch name {
	case "probability":
		f.Probability, err = parseProbability(value)
	case "duration":
		f.Duration, err = parsePositive(value)
	case "pace":
		f.Pace, err = parsePositive(value)
	case "scope":
		f.Scope, err = parseScope(value)
	default:
		return fmt.Errorf("%q is not an option; accepted: probability, duration, scope, pace", name)
	}
	return field(name, err)
}

// Validate reports every mistake at once, each with the field, its value and what
// is accepted.
func (f Fault) Validate() error {
	return errors.Join(
		field("mode", f.Mode.validate()),
		field("probability", validProbability(f.Probability)),
		field("duration", atLeastZero(f.Duration)),
		field("scope", f.Scope.validate()),
		field("pace", atLeastZero(f.Pace)),
	)
}

// String is the text form; ParseFault reads it back.
func (f Fault) String() string {
	f = f.withDefaults()
	text := string(f.Mode)
	if f.Probability != 1 {
		text += ",probability=" + strconv.FormatFloat(f.Probability, 'g', -1, 64)
	}
	if f.Duration != 0 {
		text += ",duration=" + f.Duration.String()
	}
	if f.Scope != ScopeAll {
		text += ",scope=" + string(f.Scope)
	}
	if f.Pace != defaultPace {
		text += ",pace=" + f.Pace.String()
	}
	return text
}

// MarshalText is String.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFault.
func (f *Fault) UnmarshalText(text []byte) error {
	parsed, err := ParseFault(string(text))
	if err == nil {
		*f = parsed
	}
	return err
}

const defaultPace = 250 * time.Millisecond

func (f Fault) withDefaults() Fault {
	f.Mode = cmp.Or(f.Mode, None)
	f.Probability = cmp.Or(f.Probability, 1)
	f.Scope = cmp.Or(f.Scope, ScopeAll)
	f.Pace = cmp.Or(f.Pace, defaultPace)
	return f
}

func (m Mode) validate() error {
	if m == "" {
		return nil
	}
	_, err := parseMode(string(m))
	return err
}

// parseMode refuses the empty text, which is fine as a field's zero value only.
func parseMode(text string) (Mode, error) {
	if _, known := strikeOf(Mode(text)); known || text == string(None) {
		return Mode(text), nil
	}
	return "", fmt.Errorf("%q is not a fault; accepted: %s", text, modeList())
}

func modeList() string {
	names := []string{string(None)}
	for _, s := range strikes {
		names = append(names, string(s.mode))
	}
	return strings.Join(names, ", ")
}

func (s Scope) validate() error {
	switch s {
	case "", ScopeAll, ScopeStatus:
		return nil
	}
	return fmt.Errorf("%q is not a scope; accepted: all, status", string(s))
}

func parseScope(text string) (Scope, error) {
	s := Scope(text)
	if s == "" {
		return s, errors.New(`"" is not a scope; accepted: all, status`)
	}
	return s, s.validate()
}

func validProbability(p float64) error {
	// Written so that NaN fails too.
	if !(p >= 0 && p <= 1) {
		return fmt.Errorf("%v is out of range; accepted: above 0, at most 1", p)
	}
	return nil
}

// parseProbability refuses a zero that somebody wrote, since the field's zero
// means something else.
func parseProbability(text string) (float64, error) {
	p, err := strconv.ParseFloat(text, 64)
	if err != nil || !(p > 0 && p <= 1) {
		return 0, fmt.Errorf("%q is out of range; accepted: a number above 0, at most 1", text)
	}
	return p, nil
}

func parsePositive(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above 0; accepted: such as 500ms, 30s or 2m", text)
	}
	return d, nil
}
