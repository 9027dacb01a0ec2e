package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Durations is a distribution of durations. The zero value is always 0s; values compare
// with ==. No draw is negative or longer than 24 hours.
//
// Its text form, for flags and files, is one of:
//
//	3s                  always 3 seconds
//	uniform:1s..5s      evenly between 1 and 5 seconds
//	exp:3s              exponential, 3 seconds on average
//	lognormal:3s,0.5    log-normal, median 3 seconds, sigma 0.5
type Durations struct {
	shape string // one of the constants below
	a, b  time.Duration
	sigma float64
}

const (
	fixed       = ""          // a
	uniform     = "uniform"   // a to b
	exponential = "exp"       // mean a
	logNormal   = "lognormal" // median a
)

const (
	maxDuration = 24 * time.Hour
	// With a larger sigma, one draw in a thousand would be more than ten thousand
	// times the median, which no test waits for.
	maxSigma = 3

	durationForms = "3s, uniform:1s..5s, exp:3s (mean) or lognormal:3s,0.5 (median, sigma)"
)

// Fixed is always d.
func Fixed(d time.Duration) Durations { return Durations{a: d} }

// Uniform lies evenly between from and to.
func Uniform(from, to time.Duration) Durations { return Durations{shape: uniform, a: from, b: to} }

// LogNormal has the given median and a sigma between 0 and 3; with 0.5 nine in ten
// values lie between 0.44 and 2.3 times the median. It is the shape of how long people
// take to find their phone.
func LogNormal(median time.Duration, sigma float64) Durations {
	return Durations{shape: logNormal, a: median, sigma: sigma}
}

// UnmarshalText reads the text form. The error quotes what is wrong and lists what is
// accepted.
func (d *Durations) UnmarshalText(text []byte) error {
	parsed, err := parseDurations(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%w; accepted: %s", err, durationForms)
	}
	*d = parsed
	return nil
}

func parseDurations(text string) (d Durations, err error) {
	shape, first, named := strings.Cut(text, ":")
	if !named {
		shape, first = fixed, text
	}
	separator, known := map[string]string{fixed: "", exponential: "", uniform: "..", logNormal: ","}[shape]
	if !known {
		return d, fmt.Errorf("%q is not a distribution", shape)
	}
	second := "0s"
	if separator != "" {
		first, second, _ = strings.Cut(first, separator)
	}
	d.shape = shape
	if d.a, err = time.ParseDuration(first); err != nil {
		return d, fmt.Errorf("%q is not a duration with a unit", first)
	}
	if shape == logNormal {
		if d.sigma, err = strconv.ParseFloat(second, 64); err != nil {
			return d, fmt.Errorf("sigma %q is not a number", second)
		}
	} else if d.b, err = time.ParseDuration(second); err != nil {
		return d, fmt.Errorf("%q is not a duration with a unit", second)
	}
	return d, d.validate()
}

func (d Durations) validate() error {
	for _, v := range []time.Duration{d.a, d.b} {
		if v < 0 || v > maxDuration {
			return fmt.Errorf("%v is out of range; accepted: 0s to %v", v, maxDuration)
		}
	}
	if d.shape == uniform && d.a > d.b {
		return fmt.Errorf("the range %v..%v runs backwards", d.a, d.b)
	}
	if !(d.sigma >= 0 && d.sigma <= maxSigma) { // so that NaN fails too
		return fmt.Errorf("sigma %v is out of range; accepted: 0 to %d", d.sigma, maxSigma)
	}
	return nil
}

func (d Durations) draw(r *rand.Rand) time.Duration {
	v := float64(d.a)
	switch d.shape {
	case uniform:
		v += r.Float64() * float64(d.b-d.a)
	case exponential:
		v *= r.ExpFloat64()
	case logNormal:
		v *= math.Exp(r.NormFloat64() * d.sigma)
	}
	return time.Duration(min(v, float64(maxDuration)))
}
