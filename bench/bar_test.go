package main

import (
	"slices"
	"testing"
	"time"
)

// costing returns a series of samples of 100,000 requests that took so many
// seconds of CPU.
func costing(name string, seconds ...int) series {
	s := series{name: name}
	for _, n := range seconds {
		s.samples = append(s.samples, sample{
			cpu:  time.Duration(n) * time.Second,
			load: loadResult{requests: 100_000, took: time.Second},
		})
	}
	return s
}

func TestJudge(t *testing.T) {
	all := []series{costing(nginx, 4, 8), costing(bareFiber, 2, 4), costing(pollbridge, 3, 6)}
	got := judge(all, []bar{cpuAtMost(1.2, bareFiber), cpuAtMost(1, nginx), rateAtLeast(1.2, varnish), rateAtLeast(1, nginx)})
	want := [][]string{
		{"CPU per request, pollbridge / bare Fiber", "1.50 (1.50–1.50)", "at most 1.20", "missed"},
		{"CPU per request, pollbridge / nginx", "0.75 (0.75–0.75)", "at most 1.00", "met"},
		{"requests/s, pollbridge / nginx", "1.00 (1.00–1.00)", "at least 1.00", "met"},
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("judge = %q, want %q (Varnish was not measured)", got, want)
	}
}

func TestJudgeWithoutPollbridge(t *testing.T) {
	if got := judge([]series{costing(nginx, 4)}, []bar{cpuAtMost(1, nginx)}); got != nil {
		t.Errorf("judge = %q, want nothing", got)
	}
}
