package main

import (
	"fmt"
	"slices"
)

// A spread is a median with the range it was taken from.
type spread struct{ median, low, high float64 }

// spreadOf returns the spread of some values; of none it is zero.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{median, sorted[0], sorted[len(sorted)-1]}
}

// ratioOf returns the spread of a/b taken round by round, so that what
// disturbed a whole round cancels out.
func ratioOf(a, b []float64) spread {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return spreadOf(ratios)
}

// text writes a spread with a number of decimals: 2.01 (1.95–2.20).
func (s spread) text(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, s.median, decimals, s.low, decimals, s.high)
}
