package main

import (
	"fmt"
	"slices"
)

// spreadText writes the median and the range of some values: 2.01 (1.95–2.20),
// 2.01 where that is all there is, and nothing of none.
func spreadText(values []float64, decimals int) string {
	if len(values) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	low, median, high := sorted[0], sorted[middle], sorted[len(sorted)-1]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	if low == high {
		return fmt.Sprintf("%.*f", decimals, median)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, median, decimals, low, decimals, high)
}
