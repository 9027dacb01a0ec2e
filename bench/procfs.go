package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc, 1/USER_HZ, which is the same on
// every platform that Go runs Linux on.
const clockTick = 10 * time.Millisecond

// usage is what a process and all that it started use, in CPU time since their
// start and in megabytes of resident memory.
type usage struct {
	cpu  time.Duration // user and system time, also of children that have ended
	now  float64       // VmRSS
	peak float64       // VmHWM: the most since the start or since resetPeak, not all at one moment
}

// usageOf returns the usage of a process with its descendants. Of a process that
// is gone it is zero: whoever asks finds out by dead.
func usageOf(root int) (u usage) {
	for _, p := range family(root) {
		u.cpu += p.cpu
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		u.now += megabytes(string(status), "VmRSS")
		u.peak += megabytes(string(status), "VmHWM")
	}
	return u
}

// resetPeak sets the peak of a process and its children to what they use now.
func resetPeak(root int) error {
	for _, p := range family(root) {
		// 5 is "reset the peak resident set size", see proc(5).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0); err != nil {
			return fmt.Errorf("reset the memory peak: %w", err)
		}
	}
	return nil
}

// megabytes reads a field of /proc/PID/status. One that is not there counts as
// zero, as kernel threads and zombies have no memory.
func megabytes(status, field string) float64 {
	_, rest, _ := strings.Cut(status, "\n"+field+":")
	value, _, _ := strings.Cut(rest, "kB")
	kilobytes, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return kilobytes * 1024 / 1e6
}

// processStat is what the bench reads of /proc/PID/stat.
type processStat struct {
	pid, parent int
	cpu         time.Duration
}

// parseProcessStat reads a line of /proc/PID/stat. The program's name, in
// parentheses, may itself hold spaces and parentheses.
func parseProcessStat(line string) (s processStat, ok bool) {
	name, fields := strings.IndexByte(line, '('), strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	// Numbered as in proc(5): the first field here is number 3, state.
	const parent, userTime, childSystemTime = 4 - 3, 14 - 3, 17 - 3
	if name < 0 || len(fields) <= childSystemTime {
		return s, false
	}
	numbers := append([]string{strings.TrimSpace(line[:name]), fields[parent]}, fields[userTime:childSystemTime+1]...)
	var parsed [6]int
	for i, number := range numbers {
		n, err := strconv.Atoi(number)
		if err != nil {
			return s, false
		}
		parsed[i] = n
	}
	ticks := parsed[2] + parsed[3] + parsed[4] + parsed[5]
	return processStat{parsed[0], parsed[1], time.Duration(ticks) * clockTick}, true
}

// family returns a process and all its living descendants.
func family(root int) (members []processStat) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	all := map[int]processStat{}
	for _, path := range paths {
		line, _ := os.ReadFile(path) // empty if it ended meanwhile
		if s, ok := parseProcessStat(string(line)); ok {
			all[s.pid] = s
		}
	}
	for pid, s := range all {
		if descends(all, pid, root) {
			members = append(members, s)
		}
	}
	return members
}

// descends tells whether pid is root or below it. The depth is bounded, as
// /proc was not read at one moment and a pid may have been given twice.
func descends(all map[int]processStat, pid, root int) bool {
	for range 64 {
		s, ok := all[pid]
		if pid == root || !ok {
			return ok
		}
		pid = s.parent
	}
	return false
}
