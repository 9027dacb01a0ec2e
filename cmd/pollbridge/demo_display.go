package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// demoDisplay shows how the demonstration goes on.
type demoDisplay interface {
	// show is called a few times a second, and once when it is over.
	show(demoFigures)
	// close leaves the terminal as it was found.
	close()
}

// newDemoDisplay returns a table for terminals that can be drawn on, and lines for
// everything else.
func newDemoDisplay(out io.Writer, getenv func(string) string) demoDisplay {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || getenv("TERM") == "dumb" {
		return &demoLines{out: out}
	}
	return &demoScreen{
		out:    out,
		size:   func() (width, height int, err error) { return term.GetSize(int(file.Fd())) },
		colour: getenv("NO_COLOR") == "",
	}
}

// demoLines prints a line a second, and one whenever something happens.
type demoLines struct {
	out     io.Writer
	news    string // the last
	seconds int    // of the last line
}

func (l *demoLines) show(f demoFigures) {
	if news := demoNews(f); news != l.news {
		l.news = news
		fmt.Fprintf(l.out, "%4d s  %s\n", int(f.Elapsed.Seconds()), news)
	}
	if second := int(f.Elapsed.Seconds()); second > l.seconds {
		l.seconds = second
		fmt.Fprintf(l.out, "%4d s  asked %d, sent %d, saved %s, errors %d; signings %d under way, %d ended; webhooks %d; breaker %s\n",
			second, f.Asked, f.Sent, demoPercent(f), f.Errors, f.UnderWay, f.Ended, f.Webhooks, f.Breaker)
	}
}

func (l *demoLines) close() { io.WriteString(l.out, "\n") }
