package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// A report writes what was found, as text or as Markdown.
type report struct {
	out      io.Writer
	markdown bool
}

func newReport(out io.Writer, markdown bool) *report { return &report{out, markdown} }

// preface says what the figures mean and what they were made with.
func (r *report) preface(l *lab) {
	versions := append([]string{runtime.Version()}, l.versions...)
	r.line("%d CPUs, load average %s before, TCP congestion control %s; %s.", runtime.NumCPU(),
		loadAverage(), congestionControl(), strings.Join(versions, ", "))
	r.line("Each server measured %d times for %s with %d connections, in turn with the others.", l.rounds, l.duration, l.connections)
	r.line("Figures are medians with their range; CPU is user and system time of the server and its children.")
	for _, line := range l.missing {
		r.line("%s", line)
	}
}

// line writes a paragraph of one line.
func (r *report) line(format string, args ...any) {
	fmt.Fprintf(r.out, format+"\n", args...)
	if r.markdown {
		fmt.Fprintln(r.out)
	}
}

// table writes a titled table. Its first column is text, the others figures.
// One without rows is not written.
func (r *report) table(title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	write := writeText
	if r.markdown {
		write = writeMarkdown
	}
	fmt.Fprintln(r.out)
	write(r.out, title, head, rows)
	if r.markdown {
		fmt.Fprintln(r.out)
	}
}

// bars writes a table of figures that were to be reached.
func (r *report) bars(rows [][]string) {
	r.table("", []string{"wanted of pollbridge", "measured", "bar", ""}, rows)
}

// loadAverage tells how busy the machine was by itself.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
