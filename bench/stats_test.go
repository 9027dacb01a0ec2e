package main

import (
	"slices"
	"testing"
)

func TestSpreadText(t *testing.T) {
	for _, c := range []struct {
		values   []float64
		decimals int
		want     string
	}{
		{[]float64{2.2, 1.951, 2.006}, 2, "2.01 (1.95–2.20)"},
		{[]float64{4, 1, 2, 9}, 0, "3 (1–9)"},
		{[]float64{2, 2}, 1, "2.0"},
		{[]float64{3}, 0, "3"},
		{nil, 1, ""},
	} {
		before := slices.Clone(c.values)
		if got := spreadText(c.values, c.decimals); got != c.want {
			t.Errorf("spreadText(%v, %d) = %q, want %q", before, c.decimals, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("spreadText reordered %v to %v", before, c.values)
		}
	}
}
