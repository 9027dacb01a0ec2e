package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is the resident memory of a process and its children, in bytes.
type memory struct {
	now  int64 // VmRSS
	peak int64 // VmHWM: the most since the start or since resetPeak
}

// memoryOf returns the resident memory of a process and its children. The
// peaks are added up although they may not have been at the same moment.
func memoryOf(root int) (memory, error) {
	members, err := family(root)
	if err != nil {
		return memory{}, err
	}
	var sum memory
	for _, member := range members {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", member.pid))
		if err != nil {
			continue // ended meanwhile
		}
		m := parseMemory(string(text))
		sum.now += m.now
		sum.peak += m.peak
	}
	return sum, nil
}

// resetPeak sets the peak of a process and its children to what they use now.
func resetPeak(root int) error {
	members, err := family(root)
	if err != nil {
		return err
	}
	for _, member := range members {
		// 5 is "reset the peak resident set size", see proc(5).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", member.pid), []byte("5"), 0); err != nil {
			return fmt.Errorf("reset the memory peak: %w", err)
		}
	}
	return nil
}

// parseMemory reads /proc/PID/status. What is not there counts as zero, as
// kernel threads and zombies have no memory.
func parseMemory(status string) memory {
	var m memory
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "VmRSS":
			m.now = parseKilobytes(value)
		case "VmHWM":
			m.peak = parseKilobytes(value)
		}
	}
	return m
}

func parseKilobytes(value string) int64 {
	kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
	return kb << 10
}
