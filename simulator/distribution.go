package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// distribution is what Durations and Sizes have in common: a shape and its
// parameters, in nanoseconds or bytes. The zero value always draws zero.
type distribution struct {
	shape shape
	a, b  float64 // fixed: a; uniform: a to b; exponential: mean a; lognormal: median a, sigma b
}

type shape uint8

const (
	fixed shape = iota
	uniform
	exponential
	logNormal
)

// maxSigma keeps a log-normal draw within what a test can wait for: at 3, one
// draw in a thousand is ten thousand times the median.
const maxSigma = 3

// draw takes one value between 0 and limit. The exponential and the log-normal
// have no upper end of their own.
func (d distribution) draw(r *rand.Rand, limit float64) float64 {
	v := d.a
	switch d.shape {
	case uniform:
		v = d.a + r.Float64()*(d.b-d.a)
	case exponential:
		v = r.ExpFloat64() * d.a
	case logNormal:
		v = d.a * math.Exp(r.NormFloat64()*d.b)
	}
	return min(max(v, 0), limit)
}

// check says what is wrong with the parameters, or nothing.
func (d distribution) check(limit float64, unit func(float64) string) error {
	for _, v := range d.measures() {
		if math.IsNaN(v) || v < 0 || v > limit {
			return fmt.Errorf("%s is out of range, accepted: 0 to %s", unit(v), unit(limit))
		}
	}
	switch {
	case d.shape == uniform && d.a > d.b:
		return fmt.Errorf("the range %s..%s runs backwards", unit(d.a), unit(d.b))
	case d.shape == logNormal && !(d.b >= 0 && d.b <= maxSigma):
		return fmt.Errorf("sigma %v is out of range, accepted: 0 to %d", d.b, maxSigma)
	}
	return nil
}

// measures lists the parameters that carry the unit; sigma has none.
func (d distribution) measures() []float64 {
	if d.shape == uniform {
		return []float64{d.a, d.b}
	}
	return []float64{d.a}
}

func (d distribution) text(unit func(float64) string) string {
	switch d.shape {
	case uniform:
		return "uniform:" + unit(d.a) + ".." + unit(d.b)
	case exponential:
		return "exp:" + unit(d.a)
	case logNormal:
		return "lognormal:" + unit(d.a) + "," + strconv.FormatFloat(d.b, 'g', -1, 64)
	}
	return unit(d.a)
}

// parseDistribution reads the text form; measure reads one quantity with its unit.
func parseDistribution(text string, measure func(string) (float64, error)) (distribution, error) {
	name, rest, named := strings.Cut(text, ":")
	if !named {
		a, err := measure(text)
		return distribution{shape: fixed, a: a}, err
	}
	switch name {
	case "fixed":
		a, err := measure(rest)
		return distribution{shape: fixed, a: a}, err
	case "exp":
		a, err := measure(rest)
		return distribution{shape: exponential, a: a}, err
	case "uniform":
		return parseUniform(rest, measure)
	case "lognormal":
		return parseLogNormal(rest, measure)
	}
	return distribution{}, fmt.Errorf("%q is not a distribution", name)
}

func parseUniform(text string, measure func(string) (float64, error)) (distribution, error) {
	from, to, ok := strings.Cut(text, "..")
	if !ok {
		return distribution{}, fmt.Errorf("%q has no .. between its ends", text)
	}
	a, err := measure(from)
	if err != nil {
		return distribution{}, err
	}
	b, err := measure(to)
	return distribution{shape: uniform, a: a, b: b}, err
}

func parseLogNormal(text string, measure func(string) (float64, error)) (distribution, error) {
	median, sigma, ok := strings.Cut(text, ",")
	if !ok {
		return distribution{}, fmt.Errorf("%q has no sigma after a comma", text)
	}
	a, err := measure(median)
	if err != nil {
		return distribution{}, err
	}
	b, err := strconv.ParseFloat(strings.TrimSpace(sigma), 64)
	if err != nil {
		return distribution{}, fmt.Errorf("sigma %q is not a number", sigma)
	}
	return distribution{shape: logNormal, a: a, b: b}, nil
}
