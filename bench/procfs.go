package main

import (
	"errors"
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

// processStat is what the bench reads of /proc/PID/stat.
type processStat struct {
	pid, parent int
	cpu         time.Duration // own, and of children that have ended
}

// parseProcessStat reads a line of /proc/PID/stat. The program's name, in
// parentheses, may itself hold spaces and parentheses.
func parseProcessStat(line string) (processStat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return processStat{}, errors.New("no program name")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil {
		return processStat{}, fmt.Errorf("pid: %w", err)
	}
	// Numbered as in proc(5): the first field here is number 3, state.
	fields := strings.Fields(line[end+1:])
	const parent, userTime, childSystemTime = 4 - 3, 14 - 3, 17 - 3
	if len(fields) <= childSystemTime {
		return processStat{}, fmt.Errorf("%d fields are too few", len(fields))
	}
	s := processStat{pid: pid}
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return processStat{}, fmt.Errorf("parent: %w", err)
	}
	for _, field := range fields[userTime : childSystemTime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return processStat{}, fmt.Errorf("CPU time: %w", err)
		}
		s.cpu += time.Duration(ticks) * clockTick
	}
	return s, nil
}

// family returns a process and all its living descendants.
func family(root int) ([]processStat, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := map[int]processStat{}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		if s, err := parseProcessStat(string(line)); err == nil {
			all[s.pid] = s
		}
	}
	if _, ok := all[root]; !ok {
		return nil, fmt.Errorf("process %d: not in /proc", root)
	}
	var members []processStat
	for _, s := range all {
		if descends(all, s.pid, root) {
			members = append(members, s)
		}
	}
	return members, nil
}

// descends tells whether pid is root or below it. The depth is bounded, as
// /proc was not read at one moment and a pid may have been given twice.
func descends(all map[int]processStat, pid, root int) bool {
	for range 64 {
		if pid == root {
			return true
		}
		s, ok := all[pid]
		if !ok {
			return false
		}
		pid = s.parent
	}
	return false
}

// cpuTime returns the CPU time charged so far to a process and all that it
// started.
func cpuTime(root int) (time.Duration, error) {
	members, err := family(root)
	var sum time.Duration
	for _, s := range members {
		sum += s.cpu
	}
	return sum, err
}
