package simulator

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

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
