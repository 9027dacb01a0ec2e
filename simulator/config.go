package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
)

// Config says how a Simulator behaves. The zero value works: every session succeeds at
// once with an empty file. DefaultConfig is closer to life.
type Config struct {
	// SignAfter is the time from the start of a session to its end.
	SignAfter Durations
	// Outcomes is what becomes of sessions, in proportion. Nil: all succeed.
	Outcomes Outcomes
	// Latency passes before a call of the API is answered; control calls have none.
	Latency Durations
	// OneShot makes the upstream answer a final outcome only once: later polls of the
	// same token are answered 40402.
	OneShot bool
	// ForgetAfter is how long after its end a session is still known; then its token
	// is answered 40402. Zero means one hour.
	ForgetAfter time.Duration
	// FileSize is the size of the signed document before base64.
	FileSize Size
	// FailedByCode gives answers with "status":"error" the HTTP status of the first
	// three digits of their code: 404 for 40402. Otherwise it is 200. The vendor does
	// not document it, so a client has to work with both.
	FailedByCode bool
	// AccessTokens are the credentials that are accepted; any other is answered 40003.
	// With none, every credential that is not empty is accepted.
	AccessTokens []string
	// CORS lets pages of any origin call the API, and answers their preflights.
	CORS bool
	// Fault is the fault that is on from the start.
	Fault Fault
	// Seed determines every random choice: with the same seed, the same calls in the
	// same order get the same tokens, times, outcomes and files. Zero means a seed
	// nobody chose, which Stats tells; so a new run repeats no token.
	Seed uint64
	// OnEvent hears what happens, one event at a time and in order. The Simulator
	// waits for it: it must return at once, and must not call the Simulator.
	OnEvent func(Event)
}

// DefaultConfig is an API where every session is signed after 3 seconds, with a file of
// 64 KiB, without latency or faults.
func DefaultConfig() Config {
	return Config{
		SignAfter: Fixed(3 * time.Second),
		FileSize:  64 << 10,
	}
}

// Validate reports every mistake at once, each with the field, its value and what is
// accepted.
func (c Config) Validate() error {
	var accessTokens error
	if slices.Contains(c.AccessTokens, "") {
		accessTokens = errors.New("one of them is empty; accepted: texts of at least one character")
	}
	return errors.Join(
		field("SignAfter", c.SignAfter.validate()),
		field("Outcomes", c.Outcomes.validate()),
		field("Latency", c.Latency.validate()),
		field("ForgetAfter", notNegative(c.ForgetAfter)),
		field("FileSize", c.FileSize.validate()),
		field("AccessTokens", accessTokens),
		field("Fault", c.Fault.validate()),
	)
}

func field(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func notNegative(v time.Duration) error {
	if v < 0 {
		return fmt.Errorf("%v is negative; accepted: 0 for the default, or more", v)
	}
	return nil
}

// Size is a number of bytes. Its text form has a unit, as 64KiB or 1.5MB, or is a bare
// number.
type Size int64

const maxFileSize = 64 << 20

// UnmarshalText reads the text form.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > maxFileSize {
		return fmt.Errorf("%q is not a size; accepted: 0 to 64MiB, such as 64KiB", text)
	}
	*s = Size(n)
	return nil
}

func (s Size) validate() error {
	if s < 0 || s > maxFileSize {
		return fmt.Errorf("%d is out of range; accepted: 0 to 64 MiB", s)
	}
	return nil
}
