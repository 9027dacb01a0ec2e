package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Outcome is what becomes of a session. Two of them take a documented error code
// after a colon, such as "failed:40403"; without one they have the first code of
// their row.
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
	Refused:   {codeRefused},
	Expired:   {codeExpired, codeCertificateTimeout},
	Failed:    {codeCorrupted, codeNoAccount, codeNotQualified, codeNotAuthorised, codeMisconfigured},
	Forgotten: {codeNoSession},
	Waiting:   nil,
}

// ParseOutcome reads an outcome. The error quotes the text and lists what is
// accepted.
func ParseOutcome(text string) (Outcome, error) {
	o := Outcome(strings.TrimSpace(text))
	return o, o.validate()
}

// UnmarshalText is ParseOutcome.
func (o *Outcome) UnmarshalText(text []byte) error {
	parsed, err := ParseOutcome(string(text))
	if err == nil {
		*o = parsed
	}
	return err
}

// Base is the outcome without its code: failed for "failed:40403".
func (o Outcome) Base() Outcome {
	base, _, _ := strings.Cut(string(o), ":")
	return Outcome(base)
}

// Code is the error code that a poll is answered with, 0 for succeeded and
// waiting.
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
		return fmt.Errorf("%q has a code that %s never has; accepted: %s", string(o), o.Base(), codeList(codes))
	}
	return nil
}

func codeList(codes []int) string {
	if len(codes) == 0 {
		return "none"
	}
	texts := make([]string, len(codes))
	for i, c := range codes {
		texts[i] = strconv.Itoa(c)
	}
	return strings.Join(texts, ", ")
}

// Share is one part of Outcomes.
type Share struct {
	Outcome Outcome
	Weight  float64 // relative to the sum of all weights; 0 means never
}

// Outcomes is a mix of outcomes in proportion. The nil mix means that every
// session succeeds. Its text form is succeeded=90,refused=5,expired=3,failed=2;
// an outcome alone, such as refused, is the whole mix.
type Outcomes []Share

const mixForms = "a list such as succeeded=90,refused=5,expired=3,failed:40403=2"

// ParseOutcomes reads the text form. The error quotes the part that is wrong and
// lists what is accepted.
func ParseOutcomes(text string) (Outcomes, error) {
	var mix Outcomes
	for part := range strings.SplitSeq(text, ",") {
		share, err := parseShare(part)
		if err != nil {
			return nil, err
		}
		mix = append(mix, share)
	}
	return mix, mix.validate()
}

func parseShare(text string) (Share, error) {
	name, number, weighted := strings.Cut(strings.TrimSpace(text), "=")
	outcome, err := ParseOutcome(name)
	if err != nil {
		return Share{}, err
	}
	if !weighted {
		return Share{outcome, 1}, nil
	}
	weight, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return Share{}, fmt.Errorf("%q: the weight %q is not a number; accepted: %s", text, number, mixForms)
	}
	return Share{outcome, weight}, nil
}

// String is the text form; ParseOutcomes reads it back.
func (m Outcomes) String() string {
	if len(m) == 0 {
		return string(Succeeded)
	}
	parts := make([]string, len(m))
	for i, s := range m {
		parts[i] = string(s.Outcome) + "=" + strconv.FormatFloat(s.Weight, 'g', -1, 64)
	}
	return strings.Join(parts, ",")
}

// MarshalText is String.
func (m Outcomes) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseOutcomes.
func (m *Outcomes) UnmarshalText(text []byte) error {
	parsed, err := ParseOutcomes(string(text))
	if err == nil {
		*m = parsed
	}
	return err
}

func (m Outcomes) validate() error {
	if len(m) == 0 {
		return nil
	}
	seen := make(map[Outcome]bool, len(m))
	for _, s := range m {
		if err := s.Outcome.validate(); err != nil {
			return err
		}
		if seen[s.Outcome] {
			return fmt.Errorf("%s stands twice; accepted: each outcome once", s.Outcome)
		}
		seen[s.Outcome] = true
		// Written so that NaN fails too.
		if !(s.Weight >= 0 && s.Weight <= 1e9) {
			return fmt.Errorf("%s has the weight %v; accepted: 0 to 1e9", s.Outcome, s.Weight)
		}
	}
	if m.total() == 0 {
		return fmt.Errorf("%q has no weight above 0; accepted: %s", m, mixForms)
	}
	return nil
}

func (m Outcomes) total() float64 {
	sum := 0.0
	for _, s := range m {
		sum += s.Weight
	}
	return sum
}

func (m Outcomes) draw(r *rand.Rand) Outcome {
	if len(m) == 0 {
		return Succeeded
	}
	at := r.Float64() * m.total()
	for _, s := range m {
		if at -= s.Weight; at < 0 {
			return s.Outcome
		}
	}
	return m[len(m)-1].Outcome
}
