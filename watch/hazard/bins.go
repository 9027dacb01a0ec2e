package hazard

import (
	"math/bits"
	"time"
)

// Ages are told apart by bins: finely below two seconds, from there on 32 to each doubling. Whatever
// is older than a day and a half is in the last one.
const (
	unit    = time.Second / 32 // the width of the first bins
	perTwo  = 32               // bins to a doubling of the age
	bins    = 576
	lastEnd = float64(uint64(1) << 17) // in seconds
)

// binOf is the bin of an age.
func binOf(age time.Duration) int {
	units := uint64(max(age, 0) / unit)
	doublings := max(0, bits.Len64(units)-bits.Len64(perTwo))
	return min(bins-1, doublings*perTwo+int(units>>doublings))
}

// starts are where bins begin, in seconds; the last one is where the last bin ends.
var starts = func() (s [bins + 1]float64) {
	for i := range s {
		doublings := max(0, i/perTwo-1)
		s[i] = float64(uint64(i-doublings*perTwo)<<doublings) * unit.Seconds()
	}
	return s
}()

func width(bin int) float64 { return starts[bin+1] - starts[bin] }
