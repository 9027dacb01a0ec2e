package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A figure is one thing that was measured of one server in one round.
type figure struct {
	name     string
	decimals int
	value    float64
}

// A comparison is what was measured of several servers, round by round, and what
// is wanted of one of them. All rounds have the same figures.
type comparison struct {
	title    string
	limits   []limit
	subject  string  // whom the limits are about; empty: pollbridge
	compared []ratio // shown; none: pollbridge and the other build

	servers []string // in the order of their first round
	rounds  map[string][][]figure
}

// A ratio is that of one server's figures to another's.
type ratio struct{ of, to string }

func (r ratio) String() string { return r.of + " / " + r.to }

// A limit bounds a figure of the subject, or its ratio to another server's.
type limit struct {
	figure  string
	against string // a server; empty: the figure itself is bounded
	bound   float64
	atLeast bool // else at most
}

// inTurn measures servers round by round, A B C A B C, and prints the result.
func (b *bench) inTurn(ctx context.Context, c *comparison, names []string, measure func(ctx context.Context, i int) ([]figure, error)) error {
	for round := range b.rounds {
		for i, name := range names {
			figures, err := measure(ctx, i)
			if err := errors.Join(ctx.Err(), err); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			b.log("  round %d/%d: %s", round+1, b.rounds, c.add(name, figures))
		}
	}
	c.print(b)
	return nil
}

// add notes one round of one server and returns it as a line of text.
func (c *comparison) add(server string, figures []figure) string {
	if c.rounds == nil {
		c.rounds = map[string][][]figure{}
	}
	if c.rounds[server] == nil {
		c.servers = append(c.servers, server)
	}
	c.rounds[server] = append(c.rounds[server], figures)
	line := server
	for _, f := range figures {
		line += fmt.Sprintf(", %s %.*f", f.name, f.decimals, f.value)
	}
	return line
}

// print writes what was measured, then what is wanted of it.
func (c *comparison) print(b *bench) {
	head := []string{"server"}
	for _, f := range c.rounds[c.servers[0]][0] {
		head = append(head, f.name)
	}
	var rows [][]string
	for _, server := range c.servers {
		row := []string{server}
		for _, f := range c.rounds[server][0] {
			row = append(row, spreadText(c.values(server, f.name), f.decimals))
		}
		rows = append(rows, row)
	}
	compared := c.compared
	if compared == nil && c.rounds[otherBuild] != nil {
		compared = []ratio{{pollbridge, otherBuild}}
	}
	for _, r := range compared {
		row := []string{r.String()}
		for _, name := range head[1:] {
			row = append(row, spreadText(c.ratios(name, r), 2))
		}
		rows = append(rows, row)
	}
	writeTable(b.out, c.title, head, rows)
	writeTable(b.out, "", []string{c.about(), "measured", "wanted", ""}, c.judge())
}

func (c *comparison) about() string { return cmp.Or(c.subject, pollbridge) }

// values returns one figure of a server, round by round; none if the server was
// not measured.
func (c *comparison) values(server, name string) (values []float64) {
	for _, figures := range c.rounds[server] {
		values = append(values, named(figures, name).value)
	}
	return values
}

func named(figures []figure, name string) figure {
	return figures[slices.IndexFunc(figures, func(f figure) bool { return f.name == name })]
}

// ratios returns one server's figure through another's, round by round, so that what
// disturbed a whole round cancels out. A round without the latter is left out.
func (c *comparison) ratios(name string, r ratio) (ratios []float64) {
	ours := c.values(r.of, name)
	for i, theirs := range c.values(r.to, name) {
		if i < len(ours) && theirs != 0 {
			ratios = append(ratios, ours[i]/theirs)
		}
	}
	return ratios
}

// judge returns the lines of a table about the limits, leaving out those whose
// servers were not measured. A line tells in how many rounds the limit was kept: the
// median alone would hide that a run decides nothing.
func (c *comparison) judge() (rows [][]string) {
	for _, l := range c.limits {
		name, values, decimals := l.figure, c.values(c.about(), l.figure), 2
		if l.against != "" {
			r := ratio{c.about(), l.against}
			name, values = name+", "+r.String(), c.ratios(name, r)
		} else if len(values) > 0 {
			decimals = named(c.rounds[c.about()][0], name).decimals
		}
		sense := "at most"
		if l.atLeast {
			sense = "at least"
		}
		kept := 0
		for _, value := range values {
			if value == l.bound || (value > l.bound) == l.atLeast {
				kept++
			}
		}
		verdict := fmt.Sprintf("met in %d of %d rounds", kept, len(values))
		if kept == 0 {
			verdict = "missed"
		} else if kept == len(values) {
			verdict = "met"
		}
		if len(values) > 0 {
			rows = append(rows, []string{name, spreadText(values, decimals), sense + " " + strconv.FormatFloat(l.bound, 'f', -1, 64), verdict})
		}
	}
	return rows
}
