package main

import (
	"bytes"
	"slices"
	"testing"
)

// costing returns a comparison of one figure, cost, of some servers, round by round.
func costing(limits []limit, servers map[string][]float64) *comparison {
	c := &comparison{title: "costs", limits: limits}
	for _, server := range []string{nginx, pollbridge, otherBuild} {
		for _, value := range servers[server] {
			c.add(server, []figure{{"other", 0, 1}, {"cost", 1, value}})
		}
	}
	return c
}

func TestJudge(t *testing.T) {
	got := costing([]limit{
		{"cost", nginx, 0.85, false},
		{"cost", nginx, 1, false},
		{"cost", "", 2.5, false},
		{"cost", "", 2, true},
		{"cost", varnish, 1, false}, // not measured
	}, map[string][]float64{nginx: {2, 4, 4}, pollbridge: {2, 4, 3}}).judge()
	want := [][]string{
		{"cost, pollbridge / nginx", "1.00 (0.75–1.00)", "at most 0.85", "met in 1 of 3 rounds"},
		{"cost, pollbridge / nginx", "1.00 (0.75–1.00)", "at most 1", "met"},
		{"cost", "3.0 (2.0–4.0)", "at most 2.5", "met in 1 of 3 rounds"},
		{"cost", "3.0 (2.0–4.0)", "at least 2", "met"},
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("judge =\n%q, want\n%q", got, want)
	}
}

func TestJudgeWhatIsMissed(t *testing.T) {
	got := costing([]limit{{"cost", "", 1, false}}, map[string][]float64{pollbridge: {2}}).judge()
	if want := []string{"cost", "2.0", "at most 1", "missed"}; len(got) != 1 || !slices.Equal(got[0], want) {
		t.Errorf("judge = %q, want %q", got, want)
	}
}

// A round in which everything was three times slower must not move the ratio.
func TestRatiosAreTakenWithinRounds(t *testing.T) {
	c := costing(nil, map[string][]float64{pollbridge: {2, 6, 2, 5}, nginx: {4, 12, 0}})
	if got, want := c.ratios("cost", ratio{pollbridge, nginx}), []float64{0.5, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v: nothing through zero, nor of a round that one lacks", got, want)
	}
	if got := c.ratios("cost", ratio{pollbridge, varnish}); got != nil {
		t.Errorf("ratios to what was not measured = %v, want none", got)
	}
}

func TestPrintWithOtherBuild(t *testing.T) {
	var out bytes.Buffer
	c := costing([]limit{{"cost", "", 3e6, false}}, map[string][]float64{pollbridge: {2, 3}, otherBuild: {4, 6}})
	c.print(&bench{out: &out})
	const want = `**costs**

| server                   | other |          cost |
| ------------------------ | ----: | ------------: |
| pollbridge               |     1 | 2.5 (2.0–3.0) |
| other build              |     1 | 5.0 (4.0–6.0) |
| pollbridge / other build |  1.00 |          0.50 |

| pollbridge |      measured |          wanted |     |
| ---------- | ------------: | --------------: | --: |
| cost       | 2.5 (2.0–3.0) | at most 3000000 | met |

`
	if out.String() != want {
		t.Errorf("print wrote\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPrintWithoutLimits(t *testing.T) {
	var out bytes.Buffer
	costing(nil, map[string][]float64{pollbridge: {2}}).print(&bench{out: &out})
	const want = `**costs**

| server     | other | cost |
| ---------- | ----: | ---: |
| pollbridge |     1 |  2.0 |

`
	if out.String() != want {
		t.Errorf("print wrote\n%s\nwant\n%s", out.String(), want)
	}
}
