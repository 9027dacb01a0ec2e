package watch

import (
	"time"

	"pollbridge/internal/check"
)

// The schedules by which a session is polled.
const (
	Fixed    = "fixed"    // every Interval
	Adaptive = "adaptive" // often when an end is likely, seldom when it is not, as was learnt
)

// MinInterval is the shortest interval at which sessions may be polled.
const MinInterval = 100 * time.Millisecond

// Config says how sessions are polled in the background.
type Config struct {
	// Schedule is [Fixed] or [Adaptive].
	Schedule string `yaml:"schedule"`
	// Interval is the time between two polls of a session, at least [MinInterval]. The adaptive
	// schedule keeps the mean delay with which that sees ends, and spends fewer polls.
	Interval time.Duration `yaml:"interval"`
	// MaxGap is the longest time between two polls of a session that the adaptive schedule
	// leaves, at least Interval; 0 is five intervals. The shortest is a quarter of Interval.
	MaxGap time.Duration `yaml:"max_gap"`
	// Deadline is how long a session is watched before it is given up. More than 0.
	Deadline time.Duration `yaml:"deadline"`
	// NotFoundAfter is how long the upstream may say that it does not know a
	// session before that is believed. 0 believes the first answer.
	NotFoundAfter time.Duration `yaml:"not_found_after"`
	// Max bounds the sessions watched at the same time. At least 1.
	Max int `yaml:"max"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{
		Schedule: Adaptive, Interval: time.Second, Deadline: 10 * time.Minute,
		NotFoundAfter: 10 * time.Second, Max: 200_000,
	}
}

// Validate returns all mistakes in c, joined; each names its key.
func (c Config) Validate() error {
	var m check.Mistakes
	m.OneOf("schedule", c.Schedule, Fixed, Adaptive)
	m.Want(c.Interval >= MinInterval, "interval", c.Interval, "at least "+MinInterval.String())
	m.Want(c.MaxGap == 0 || c.MaxGap >= c.Interval, "max_gap", c.MaxGap, "0s, which is five intervals, or at least interval, which is "+check.Text(c.Interval))
	m.Want(c.Deadline > 0, "deadline", c.Deadline, "more than 0s, such as 10m")
	m.Want(c.NotFoundAfter >= 0, "not_found_after", c.NotFoundAfter, "0s or more")
	m.Want(c.Max >= 1, "max", c.Max, "at least 1")
	return m.Err()
}
