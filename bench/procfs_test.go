package main

import (
	"os"
	"testing"
	"time"
)

func TestParseProcessStat(t *testing.T) {
	const tail = " S 7 42 42 0 -1 4194560 900 0 0 0 150 50 3 2 20 0 4 0 1000 12345 678 18446744073709551615"
	for _, line := range []string{"42 (nginx)" + tail, "42 (nginx: worker)" + tail, "42 (a) S 9 (b))" + tail + "\n"} {
		got, ok := parseProcessStat(line)
		if want := (processStat{42, 7, 205 * 10 * time.Millisecond}); !ok || got != want {
			t.Errorf("parseProcessStat(%q) = %+v, %t; want %+v", line, got, ok, want)
		}
	}
}

func TestParseProcessStatRefuses(t *testing.T) {
	for _, line := range []string{
		"", "42 nginx S 7", ")42(", "42 (nginx) S 7 42", "x (nginx) S 7 42 42 0 -1 0 0 0 0 0 1 1 1 1",
		"42 (nginx) S x 42 42 0 -1 0 0 0 0 0 1 1 1 1", "42 (nginx) S 7 42 42 0 -1 0 0 0 0 0 1 x 1 1",
	} {
		if got, ok := parseProcessStat(line); ok {
			t.Errorf("parseProcessStat(%q) = %+v, want none", line, got)
		}
	}
}

func TestDescends(t *testing.T) {
	all := map[int]processStat{
		1: {pid: 1}, 10: {pid: 10, parent: 1}, 11: {pid: 11, parent: 10}, 12: {pid: 12, parent: 11},
		20: {pid: 20, parent: 21}, 21: {pid: 21, parent: 20},
	}
	for _, c := range []struct {
		pid, root int
		want      bool
	}{
		{10, 10, true}, {11, 10, true}, {12, 10, true}, {10, 11, false}, {1, 10, false}, {99, 10, false}, {99, 99, false},
		{20, 10, false}, // each the other's parent
	} {
		if got := descends(all, c.pid, c.root); got != c.want {
			t.Errorf("descends(%d, %d) = %t, want %t", c.pid, c.root, got, c.want)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	if u := usageOf(os.Getpid()); u.now == 0 || u.peak < u.now {
		t.Errorf("usageOf = %+v; want some memory now, and a peak not below it", u)
	}
	if u := usageOf(-1); u != (usage{}) {
		t.Errorf("usageOf a process that is not there = %+v, want zero", u)
	}
}

func TestMegabytes(t *testing.T) {
	const status = "Name:\tpollbridge\nVmPeak:\t 9000 kB\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\nThreads:\t4\n"
	if now, peak := megabytes(status, "VmRSS"), megabytes(status, "VmHWM"); now != 1.024 || peak != 2.048 {
		t.Errorf("megabytes = %v now, %v at most; want 1.024, 2.048", now, peak)
	}
	if got := megabytes("Name:\tkthreadd\n", "VmRSS"); got != 0 {
		t.Errorf("megabytes of a kernel thread = %v, want 0", got)
	}
}
