package simulator

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// maxFileSize bounds every drawn size.
const maxFileSize = 1 << 30

const sizeForms = "64KiB, uniform:10KiB..1MiB, exp:64KiB (mean) or lognormal:64KiB,1 (median, sigma)"

// Sizes is a distribution of sizes in bytes. The zero value is always 0; values
// compare with ==. No draw is larger than 1 GiB.
//
// Its text form is that of Durations with sizes in it: 64KiB,
// uniform:10KiB..1MiB, exp:64KiB, lognormal:64KiB,1. Units are B, KB, MB, GB,
// KiB, MiB and GiB; a bare number is bytes.
type Sizes struct{ d distribution }

// FixedSize is always n bytes.
func FixedSize(n int64) Sizes {
	return Sizes{distribution{shape: fixed, a: float64(n)}}
}

// ParseSizes reads the text form. The error quotes what is wrong and lists what
// is accepted.
func ParseSizes(text string) (Sizes, error) {
	d, err := parseDistribution(strings.TrimSpace(text), measureSize)
	if err == nil {
		err = Sizes{d}.validate()
	}
	if err != nil {
		return Sizes{}, fmt.Errorf("%w; accepted: %s", err, sizeForms)
	}
	return Sizes{d}, nil
}

// String is the text form; ParseSizes reads it back.
func (s Sizes) String() string { return s.d.text(sizeText) }

// MarshalText is String.
func (s Sizes) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseSizes.
func (s *Sizes) UnmarshalText(text []byte) error {
	parsed, err := ParseSizes(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

func (s Sizes) validate() error { return s.d.check(maxFileSize, sizeText) }

func (s Sizes) draw(r *rand.Rand) int64 { return int64(s.d.draw(r, maxFileSize)) }

// Longer suffixes come first, since every one of them ends in B.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

func measureSize(text string) (float64, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for _, unit := range sizeUnits {
		if before, ok := strings.CutSuffix(number, unit.suffix); ok {
			number, factor = strings.TrimSpace(before), unit.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	return n * float64(factor), nil
}

// sizeText uses the largest binary unit that divides the size, so that what was
// written comes back.
func sizeText(bytes float64) string {
	n := int64(bytes)
	for _, unit := range sizeUnits[:3] {
		if n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
