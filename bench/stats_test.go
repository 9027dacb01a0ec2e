package main

import "testing"

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"nothing", nil, spread{}},
		{"one", []float64{3}, spread{3, 3, 3}},
		{"odd, unsorted", []float64{9, 1, 4}, spread{4, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("%s: spreadOf(%v) = %v, want %v", c.name, c.values, got, c.want)
		}
	}
}

func TestSpreadOfLeavesItsArgument(t *testing.T) {
	values := []float64{3, 1, 2}
	spreadOf(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("spreadOf reordered its argument to %v", values)
	}
}

// A round in which everything was three times slower must not move the ratio.
func TestRatioIsTakenWithinRounds(t *testing.T) {
	ours, theirs := []float64{2, 6, 2}, []float64{4, 12, 4}
	if got, want := ratioOf(ours, theirs), (spread{0.5, 0.5, 0.5}); got != want {
		t.Errorf("ratioOf = %v, want %v", got, want)
	}
}

func TestRatioOfUnequalOrZero(t *testing.T) {
	if got, want := ratioOf([]float64{1, 2, 3}, []float64{2, 0}), (spread{0.5, 0.5, 0.5}); got != want {
		t.Errorf("ratioOf = %v, want %v", got, want)
	}
	if got := ratioOf(nil, nil); got != (spread{}) {
		t.Errorf("ratioOf of nothing = %v, want zero", got)
	}
}

func TestSpreadText(t *testing.T) {
	if got, want := (spread{2.006, 1.951, 2.2}).text(2), "2.01 (1.95–2.20)"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
}
