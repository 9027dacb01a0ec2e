package simulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// maxDuration bounds every drawn duration: nothing that is simulated takes
// longer than a day.
const maxDuration = 24 * time.Hour

const durationForms = "3s, uniform:1s..5s, exp:3s (mean) or lognormal:3s,0.5 (median, sigma)"

// Durations is a distribution of durations. The zero value is always 0s; values
// compare with ==. No draw is negative or longer than 24 hours.
//
// Its text form, for flags and files, is one of:
//
//	3s                  always 3 seconds
//	uniform:1s..5s      evenly between 1 and 5 seconds
//	exp:3s              exponential, 3 seconds on average
//	lognormal:3s,0.5    log-normal, median 3 seconds, sigma 0.5
type Durations struct{ d distribution }

// Fixed is always d.
func Fixed(d time.Duration) Durations {
	return Durations{distribution{shape: fixed, a: float64(d)}}
}

// Uniform lies evenly between from and to.
func Uniform(from, to time.Duration) Durations {
	return Durations{distribution{shape: uniform, a: float64(from), b: float64(to)}}
}

// Exponential has the given mean: mostly short, now and then long.
func Exponential(mean time.Duration) Durations {
	return Durations{distribution{shape: exponential, a: float64(mean)}}
}

// LogNormal has the given median and a sigma between 0 and 3; with 0.5 nine in
// ten values lie between 0.44 and 2.3 times the median. It is the shape of how
// long people take to find their phone.
func LogNormal(median time.Duration, sigma float64) Durations {
	return Durations{distribution{shape: logNormal, a: float64(median), b: sigma}}
}

// ParseDurations reads the text form. The error quotes what is wrong and lists
// what is accepted.
func ParseDurations(text string) (Durations, error) {
	d, err := parseDistribution(strings.TrimSpace(text), measureDuration)
	if err == nil {
		err = Durations{d}.validate()
	}
	if err != nil {
		return Durations{}, fmt.Errorf("%w; accepted: %s", err, durationForms)
	}
	return Durations{d}, nil
}

// String is the text form; ParseDurations reads it back.
func (d Durations) String() string { return d.d.text(durationText) }

// MarshalText is String.
func (d Durations) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDurations.
func (d *Durations) UnmarshalText(text []byte) error {
	parsed, err := ParseDurations(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

func (d Durations) validate() error { return d.d.check(float64(maxDuration), durationText) }

func (d Durations) draw(r *rand.Rand) time.Duration {
	return time.Duration(d.d.draw(r, float64(maxDuration)))
}

func durationText(ns float64) string { return time.Duration(ns).String() }

func measureDuration(text string) (float64, error) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration with a unit", text)
	}
	return float64(d), nil
}
