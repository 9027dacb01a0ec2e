package hazard

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBinsHoldTheirAges(t *testing.T) {
	if starts[0] != 0 || starts[bins] != lastEnd {
		t.Errorf("bins are from %v to %v", starts[0], starts[bins])
	}
	rapid.Check(t, func(t *rapid.T) {
		age := time.Duration(rapid.Int64Range(0, int64(lastEnd*float64(time.Second))-1).Draw(t, "age"))
		bin := binOf(age)
		if s := age.Seconds(); s < starts[bin] || s >= starts[bin+1] {
			t.Errorf("bin of %v is from %v to %v", age, starts[bin], starts[bin+1])
		}
	})
	for _, age := range []time.Duration{-time.Hour, 0} {
		if binOf(age) != 0 {
			t.Errorf("bin of %v = %d", age, binOf(age))
		}
	}
	if bin := binOf(1 << 62); bin != bins-1 {
		t.Errorf("bin of ages = %d", bin)
	}
}
