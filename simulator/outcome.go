package simulator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Outcome is what becomes of a session. Two of them take a documented error code after
// a colon, such as "failed:40403"; without one they have the first code of their row.
//
//	succeeded                  signed
//	refused                    40020
//	expired                    40021, 40801
//	failed                     40022, 40401, 40403, 50003, 50004
//	forgotten                  the token is unknown from then on: 40402
//	waiting                    never ends by itself
type Outcome string

// The outcomes without a code of their own.
const (
	Succeeded Outcome = "succeeded"
	Refused   Outcome = "refused"
	Expired   Outcome = "expired"
	Failed    Outcome = "failed"
	Forgotten Outcome = "forgotten"
	Waiting   Outcome = "waiting"
)

const outcomeForms = "succeeded, refused, expired, failed, forgotten or waiting; " +
	"expired and failed with a code as in failed:40403"

// outcomeCodes lists the codes an outcome may have; the first is its default.
var outcomeCodes = map[Outcome][]int{
	Succeeded: nil,
	Refused:   {40020},
	Expired:   {40021, 40801},
	Failed:    {40022, 40401, 40403, 50003, 50004},
	Forgotten: {codeNoSession},
	Waiting:   nil,
}

// Base is the outcome without its code: failed for "failed:40403".
func (o Outcome) Base() Outcome {
	base, _, _ := strings.Cut(string(o), ":")
	return Outcome(base)
}

// Code is the error code that a poll is answered with, 0 for succeeded and waiting.
func (o Outcome) Code() int {
	if _, code, ok := strings.Cut(string(o), ":"); ok {
		n, _ := strconv.Atoi(code)
		return n
	}
	if codes := outcomeCodes[o]; len(codes) > 0 {
		return codes[0]
	}
	return 0
}

func (o Outcome) validate() error {
	codes, known := outcomeCodes[o.Base()]
	if !known {
		return fmt.Errorf("%q is not an outcome; accepted: %s", string(o), outcomeForms)
	}
	// The code is compared as text too: 040403 is a number that no answer holds.
	coded := Outcome(fmt.Sprintf("%s:%d", o.Base(), o.Code()))
	if o != o.Base() && (o != coded || !slices.Contains(codes, o.Code())) {
		return fmt.Errorf("%q has a code that %s never has; accepted: %v", string(o), o.Base(), codes)
	}
	return nil
}

// Outcomes is a mix of outcomes by weight, relative to the sum of all weights. The nil mix
// means that every session succeeds. Its text form is
// succeeded=90,refused=5,expired=3,failed=2; an outcome alone, such as refused, is the
// whole mix.
type Outcomes map[Outcome]float64

// UnmarshalText reads the text form. The error quotes the part that is wrong and lists
// what is accepted.
func (m *Outcomes) UnmarshalText(text []byte) error {
	mix := Outcomes{}
	for part := range strings.SplitSeq(string(text), ",") {
		name, number, weighted := strings.Cut(strings.TrimSpace(part), "=")
		if !weighted {
			number = "1"
		}
		weight, err := strconv.ParseFloat(number, 64)
		if _, twice := mix[Outcome(name)]; err != nil || twice {
			return fmt.Errorf("%q has no number for its weight or stands twice; accepted: %s", part, mixForms)
		}
		mix[Outcome(name)] = weight
	}
	if err := mix.validate(); err != nil {
		return err
	}
	*m = mix
	return nil
}

const mixForms = "a list such as succeeded=90,refused=5,expired=3,failed:40403=2"

func (m Outcomes) validate() error {
	sum := 0.0
	for outcome, weight := range m {
		if err := outcome.validate(); err != nil {
			return err
		}
		if !(weight >= 0 && weight <= 1e9) { // so that NaN fails too
			return fmt.Errorf("%s has the weight %v; accepted: 0 to 1e9", outcome, weight)
		}
		sum += weight
	}
	if len(m) > 0 && sum == 0 {
		return fmt.Errorf("there is no weight above 0; accepted: %s", mixForms)
	}
	return nil
}

// draw goes through the outcomes in a fixed order, so that a seed repeats its choices.
func (m Outcomes) draw(r *rand.Rand) Outcome {
	drawn, sum := Succeeded, 0.0
	names := slices.Sorted(maps.Keys(m))
	for _, name := range names {
		sum += m[name]
	}
	at := r.Float64() * sum
	for _, name := range names {
		drawn = name
		if at -= m[name]; at < 0 {
			break
		}
	}
	return drawn
}
