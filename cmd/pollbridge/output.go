package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/dustin/go-humanize"
)

// printer shows what a bridge has answered: as tables for people, or as JSON.
type printer struct {
	out, errOut io.Writer
	json        bool
}

// table is text in columns. A table without a head has names in its first column.
type table struct {
	head  []string
	rows  [][]string
	empty string // shown where there are no rows
}

// field adds a row with a name, unless there is nothing to say.
func (t *table) field(name, value string) {
	if value != "" {
		t.rows = append(t.rows, []string{name, value})
	}
}

func (t table) String() string {
	if len(t.rows) == 0 {
		return t.empty + "\n"
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	rows := t.rows
	if t.head != nil {
		rows = append([][]string{t.head}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cmp.Or(printable(cell), "-")
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	return text.String()
}

// object prints one thing.
func (p printer) object(v any, t table) error {
	if p.json {
		return writeJSON(p.out, v)
	}
	return p.say(t.String())
}

// say prints text for people; with --json there is none.
func (p printer) say(text string) error {
	if p.json {
		return nil
	}
	_, err := io.WriteString(p.out, text)
	return err
}

// writeJSON writes an object on a line. It escapes control characters that JSON allows as
// they are, too: some move the cursor of a terminal, or turn its text around.
func writeJSON(w io.Writer, v any) error {
	text := &bytes.Buffer{}
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	line := &strings.Builder{}
	for _, r := range strings.TrimSuffix(text.String(), "\n") {
		if !unicode.In(r, unicode.Cc, unicode.Cf) {
			line.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(line, `\u%04x`, unit)
		}
	}
	_, err := io.WriteString(w, line.String()+"\n")
	return err
}

// printable is text from outside without what could move the cursor or change what was
// printed before.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// short is the beginning of a text that would make a table too wide.
func short(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// ago is a time as seen from now, such as "3 minutes ago".
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return humanize.Time(t)
}

// at is a time and how long ago that is.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime) + " (" + humanize.Time(t) + ")"
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
