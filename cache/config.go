package cache

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"pollbridge/internal/check"
)

// Config says how much is remembered, and for how long.
type Config struct {
	// MaxSize bounds the memory that remembered answers take, at least [MinSize].
	MaxSize Size `yaml:"max_size"`
	// PendingTTL is the freshness window: how long an answer about a signing under
	// way serves everyone before the upstream is asked again. More than 0.
	PendingTTL time.Duration `yaml:"pending_ttl"`
	// FinalTTL is how long a final answer is kept in memory. At least PendingTTL.
	FinalTTL time.Duration `yaml:"final_ttl"`
	// NotFoundTTL is how long "no such session" and the other errors that the
	// caller made are remembered. 0 remembers none of them.
	NotFoundTTL time.Duration `yaml:"not_found_ttl"`
	// StaleIfError is how old a pending answer may be and still be served while
	// the upstream fails. 0 serves none.
	StaleIfError time.Duration `yaml:"stale_if_error"`
	// IgnoredQueryFields are fields of a query that change nothing in an answer, such
	// as what clients add to get past caches. None may carry a credential or a token.
	IgnoredQueryFields []string `yaml:"ignored_query_fields"`
}

// DefaultConfig is what applies where nothing else is said. The caller owns what it
// holds.
func DefaultConfig() Config {
	return Config{
		MaxSize:      256 << 20,
		PendingTTL:   time.Second,
		FinalTTL:     15 * time.Minute,
		NotFoundTTL:  2 * time.Second,
		StaleIfError: 2 * time.Minute,

		IgnoredQueryFields: []string{"_"}, // of jQuery
	}
}

// Validate returns all mistakes in c, joined; each names its key.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Want(c.MaxSize >= MinSize, "max_size", c.MaxSize, "at least "+MinSize.String())
	m.Want(c.PendingTTL > 0, "pending_ttl", c.PendingTTL, "more than 0s, such as 1s")
	m.Want(c.FinalTTL >= c.PendingTTL, "final_ttl", c.FinalTTL, "at least pending_ttl, which is "+check.Text(c.PendingTTL))
	m.Want(c.NotFoundTTL >= 0, "not_found_ttl", c.NotFoundTTL, "0s or more")
	m.Want(c.StaleIfError >= 0, "stale_if_error", c.StaleIfError, "0s or more")
	for i, name := range c.IgnoredQueryFields {
		m.Want(name != "" && name != "token", fmt.Sprintf("ignored_query_fields[%d]", i), name, "the name of a field, and not token")
	}
	return m.Err()
}

// Size is a number of bytes. Its text has a unit, binary as in 256MiB or decimal
// as in 1GB; a number without one is in bytes.
type Size int64

// MinSize is the least memory a cache can work with.
const MinSize Size = 1 << 20

// UnmarshalText reads a size of up to 1PiB, a bound that no machine reaches and
// every arithmetic on sizes can rely on.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<50 {
		return errors.New("want a size such as 256MiB or 1GB, at most 1PiB")
	}
	*s = Size(n)
	return nil
}

// String writes the size exactly, in the largest unit that divides it.
func (s Size) String() string {
	units := []struct {
		name  string
		bytes Size
	}{
		{"PiB", 1 << 50}, {"PB", 1e15}, {"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3},
	}
	for _, unit := range units {
		if s != 0 && s%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", s/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}
