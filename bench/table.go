package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// writeText writes a table in columns for a terminal.
func writeText(w io.Writer, title string, head []string, rows [][]string) {
	if title != "" {
		fmt.Fprintln(w, title)
	}
	widths := columnWidths(append([][]string{head}, rows...))
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(w, strings.TrimRight("  "+alignRow(row, widths), " "))
	}
}

func alignRow(row []string, widths []int) string {
	var cells []string
	for i, cell := range row {
		gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			cells = append(cells, cell+gap)
		} else {
			cells = append(cells, gap+cell)
		}
	}
	return strings.Join(cells, "  ")
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// writeMarkdown writes a table as GitHub's Markdown has it.
func writeMarkdown(w io.Writer, title string, head []string, rows [][]string) {
	if title != "" {
		fmt.Fprintf(w, "**%s**\n\n", title)
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(head, " | "))
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---:|", len(head)-1))
	for _, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}
