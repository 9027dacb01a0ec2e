package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config says how a Simulator behaves. The zero value works: every session
// succeeds at once with an empty file. DefaultConfig is closer to life.
type Config struct {
	// SignAfter is the time from the start of a session to its end.
	SignAfter Durations
	// Outcomes is what becomes of sessions, in proportion. Nil: all succeed.
	Outcomes Outcomes
	// Latency passes before a call of the API is answered; control calls have none.
	Latency Durations
	// OneShot makes the upstream answer a final outcome only once: later polls of
	// the same token are answered 40402.
	OneShot bool
	// ForgetAfter is how long after its end a session is still known; then its
	// token is answered 40402. Zero means one hour.
	ForgetAfter time.Duration
	// FileSize is the size of the signed document before base64.
	FileSize Sizes
	// FailedStatus is the HTTP status that failed answers have. The zero value is
	// FailedAs200.
	FailedStatus FailedStatus
	// AccessTokens are the credentials that are accepted; any other is answered
	// 40003. With none, every credential that is not empty is accepted.
	AccessTokens []string
	// ExtraFields adds a JSON field that no documentation knows to every answer of
	// a start or status call.
	ExtraFields bool
	// MaxSessions bounds the sessions in memory. When it is reached, each start
	// forgets the oldest session. Zero means 200,000; one takes about 0.5 KiB, and
	// 1.5 KiB once it was polled 100 times.
	MaxSessions int
	// Fault is the fault that is on from the start.
	Fault Fault
	// Seed determines every random choice: with the same seed, the same calls in
	// the same order get the same tokens, times, outcomes and files. Zero means a
	// seed nobody chose, which Stats tells; so a new run repeats no token.
	Seed uint64
	// Now is the clock by which sessions end, are forgotten, and faults run out.
	// Nil means time.Now. Waiting (latency, a hang, a drip) always goes by the
	// runtime's timers.
	Now func() time.Time
	// OnEvent hears what happens, one call at a time and in order. It may call the
	// Simulator, but must not block: the request that caused the event waits for
	// it. Beyond 10,000 events not yet heard, new ones are dropped. Nil: nobody
	// listens.
	OnEvent func(Event)
}

// DefaultConfig is an API where every session is signed after 3 seconds, with a
// file of 64 KiB, without latency or faults.
func DefaultConfig() Config {
	return Config{
		SignAfter:    Fixed(3 * time.Second),
		Outcomes:     Outcomes{{Succeeded, 1}},
		FileSize:     FixedSize(64 << 10),
		FailedStatus: FailedAs200,
		ForgetAfter:  time.Hour,
		MaxSessions:  200_000,
	}
}

// Validate reports every mistake at once, each with the field, its value and what
// is accepted.
func (c Config) Validate() error {
	return errors.Join(
		field("SignAfter", c.SignAfter.validate()),
		field("Outcomes", c.Outcomes.validate()),
		field("Latency", c.Latency.validate()),
		field("ForgetAfter", atLeastZero(c.ForgetAfter)),
		field("FileSize", c.FileSize.validate()),
		field("FailedStatus", c.FailedStatus.validate()),
		field("AccessTokens", noneEmpty(c.AccessTokens)),
		field("MaxSessions", atLeastZero(c.MaxSessions)),
		field("Fault", c.Fault.Validate()),
	)
}

func (c Config) withDefaults() Config {
	c.ForgetAfter = cmp.Or(c.ForgetAfter, time.Hour)
	c.FailedStatus = cmp.Or(c.FailedStatus, FailedAs200)
	c.MaxSessions = cmp.Or(c.MaxSessions, 200_000)
	c.AccessTokens = slices.Clone(c.AccessTokens)
	c.Outcomes = slices.Clone(c.Outcomes)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func field(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func atLeastZero[T int | time.Duration](v T) error {
	if v < 0 {
		return fmt.Errorf("%v is negative; accepted: 0 for the default, or more", v)
	}
	return nil
}

func noneEmpty(tokens []string) error {
	if slices.Contains(tokens, "") {
		return errors.New("one of them is empty; accepted: texts of at least one character")
	}
	return nil
}

// FailedStatus is the HTTP status that answers with "status":"error" have. The
// vendor does not document it, so a client has to work with both.
type FailedStatus string

const (
	// FailedAs200 answers failures with HTTP 200, as successes.
	FailedAs200 FailedStatus = "200"
	// FailedByCode answers with the first three digits of the error code: 404 for
	// 40402, 500 for 50000.
	FailedByCode FailedStatus = "code"
)

// UnmarshalText accepts 200 and code.
func (f *FailedStatus) UnmarshalText(text []byte) error {
	parsed := FailedStatus(text)
	if err := parsed.validate(); err != nil || parsed == "" {
		return cmp.Or(err, errors.New(`"" is neither; accepted: 200, code`))
	}
	*f = parsed
	return nil
}

func (f FailedStatus) validate() error {
	switch f {
	case "", FailedAs200, FailedByCode:
		return nil
	}
	return fmt.Errorf("%q is neither; accepted: 200, code", string(f))
}

func (f FailedStatus) httpStatus(code int) int {
	if f == FailedByCode && code != 0 {
		return code / 100
	}
	return 200
}
