package main

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseProcessStat(t *testing.T) {
	const tail = " S 7 42 42 0 -1 4194560 900 0 0 0 150 50 3 2 20 0 4 0 1000 12345 678 18446744073709551615"
	for _, line := range []string{
		"42 (nginx)" + tail,
		"42 (nginx: worker)" + tail,
		"42 (a) S 9 (b))" + tail + "\n",
	} {
		got, err := parseProcessStat(line)
		want := processStat{pid: 42, parent: 7, cpu: 205 * 10 * time.Millisecond}
		if err != nil || got != want {
			t.Errorf("parseProcessStat(%q) = %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestParseProcessStatRefuses(t *testing.T) {
	for _, line := range []string{
		"", "42 nginx S 7", ")42(", "42 (nginx) S 7 42", "x (nginx) S 7 42 42 0 -1 0 0 0 0 0 1 1 1 1",
		"42 (nginx) S x 42 42 0 -1 0 0 0 0 0 1 1 1 1", "42 (nginx) S 7 42 42 0 -1 0 0 0 0 0 1 x 1 1",
	} {
		if got, err := parseProcessStat(line); err == nil {
			t.Errorf("parseProcessStat(%q) = %+v, want an error", line, got)
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
		{10, 10, true}, {11, 10, true}, {12, 10, true}, {10, 11, false}, {1, 10, false}, {99, 10, false},
		{20, 10, false}, // each the other's parent
	} {
		if got := descends(all, c.pid, c.root); got != c.want {
			t.Errorf("descends(%d, %d) = %t, want %t", c.pid, c.root, got, c.want)
		}
	}
}

func TestOwnFamily(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	members, err := family(os.Getpid())
	if err != nil || len(members) == 0 {
		t.Fatalf("family = %v, %v; want this process", members, err)
	}
	memory, err := memoryOf(os.Getpid())
	if err != nil || memory.now == 0 || memory.peak < memory.now {
		t.Errorf("memoryOf = %+v, %v; want some now, and a peak not below it", memory, err)
	}
	if _, err := family(-1); err == nil {
		t.Error("family of a process that is not there: want an error")
	}
}

func TestParseMemory(t *testing.T) {
	const status = "Name:\tpollbridge\nVmPeak:\t 9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t4\n"
	if got, want := parseMemory(status), (memory{now: 1 << 20, peak: 2 << 20}); got != want {
		t.Errorf("parseMemory = %+v, want %+v", got, want)
	}
	if got := parseMemory("Name:\tkthreadd\n"); got != (memory{}) {
		t.Errorf("parseMemory of a kernel thread = %+v, want zero", got)
	}
}
