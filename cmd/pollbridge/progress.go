package main

import (
	"fmt"
	"io"
	"time"

	"pollbridge/store/transfer"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// progress shows how far something is: a row for each part that is over and, now and then, one for
// what is under way, in its place where people look.
type progress struct {
	out      io.Writer
	verb     string
	terminal bool
	begun    time.Time
	titled   bool
	shown    time.Time // when the last row was
}

func newProgress(out io.Writer, verb string) *progress {
	return &progress{out: out, verb: verb, terminal: isTerminal(out), begun: time.Now(), shown: time.Now()}
}

func (p *progress) tell(now transfer.Progress) {
	const often, rarely = 200 * time.Millisecond, 10 * time.Second
	pause := rarely
	if p.terminal {
		pause = often
	}
	if !now.Over && time.Since(p.shown) < pause {
		return
	}
	if !p.titled {
		p.titled = true
		fmt.Fprintf(p.out, "%-20s %12s %12s\n", p.verb, "records", "size")
	}
	p.shown = time.Now()
	row := fmt.Sprintf("%-20s %12d %12s", now.Part, now.Records, humanize.IBytes(now.Bytes))
	switch {
	case now.Over:
		row += "\n"
	case now.Of > 0:
		row += fmt.Sprintf("  %d %%", min(99, 100*now.Records/now.Of))
	}
	switch {
	case p.terminal:
		row = "\r\x1b[K" + row
	case !now.Over:
		row += "\n"
	}
	io.WriteString(p.out, row)
}

// end is told of all records, or why it ended before.
func (p *progress) end(records uint64, err error) {
	switch {
	case err == nil:
		fmt.Fprintf(p.out, "%s %s in %s\n", p.verb, english.Plural(int(records), "record", ""), toMillisecond(time.Since(p.begun)))
	case p.terminal:
		fmt.Fprintln(p.out)
	}
}
