package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// writeTable writes a table in Markdown, in columns that a terminal shows well.
// The first column is text, the others are figures. One without rows is not written.
func writeTable(w io.Writer, title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(w, "**%s**\n\n", title)
	}
	rule := make([]string, len(head))
	lines := append([][]string{head, rule}, rows...)
	for i := range head {
		width := 3
		for _, line := range lines {
			width = max(width, utf8.RuneCountInString(line[i]))
		}
		for _, line := range lines {
			line[i] = fmt.Sprintf("%*s", width, line[i])
			if i == 0 {
				line[i] = fmt.Sprintf("%-*s", width, strings.TrimSpace(line[i]))
			}
		}
		rule[i] = strings.Repeat("-", width-1) + ":"
	}
	rule[0] = strings.Repeat("-", len(rule[0]))
	for _, line := range lines {
		fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
	}
	fmt.Fprintln(w)
}
