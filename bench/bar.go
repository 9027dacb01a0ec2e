package main

import "fmt"

// A bar is a ratio that pollbridge has to reach against another server.
type bar struct {
	figure  string
	of      func(sample) float64
	against string
	limit   float64
	atLeast bool // else at most
}

func cpuAtMost(limit float64, against string) bar {
	return bar{figure: "CPU per request", of: sample.cpuPer100k, against: against, limit: limit}
}

// efficiencyAtLeast is about requests/s too, less what other work on the
// machine did to them.
func efficiencyAtLeast(limit float64, against string) bar {
	return bar{figure: "requests per CPU second of server and load", of: sample.perCPUSecond, against: against, limit: limit, atLeast: true}
}

func rateAtLeast(limit float64, against string) bar {
	return bar{figure: "requests/s", of: sample.perSecond, against: against, limit: limit, atLeast: true}
}

// judge returns the lines of a table about bars, leaving out those whose
// servers were not measured.
func judge(all []series, bars []bar) (lines [][]string) {
	ours, ok := find(all, pollbridge)
	if !ok {
		return nil
	}
	for _, b := range bars {
		theirs, ok := find(all, b.against)
		if !ok {
			continue
		}
		ratio := ratioOf(ours.values(b.of), theirs.values(b.of))
		lines = append(lines, []string{
			fmt.Sprintf("%s, pollbridge / %s", b.figure, b.against),
			ratio.text(2), b.wanted(), verdict(b.met(ratio.median)),
		})
	}
	return lines
}

func (b bar) wanted() string {
	if b.atLeast {
		return fmt.Sprintf("at least %.2f", b.limit)
	}
	return fmt.Sprintf("at most %.2f", b.limit)
}

func (b bar) met(ratio float64) bool {
	if b.atLeast {
		return ratio >= b.limit
	}
	return ratio <= b.limit
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}
