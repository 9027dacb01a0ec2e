package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/check"
	"pollbridge/internal/period"

	"golang.org/x/term"
)

// watchFlags are those of commands that can go on.
type watchFlags struct {
	Watch    bool          `short:"w" help:"Go on until Ctrl-C: redraw the table in a terminal, elsewhere print JSON, a line for each item that is new or has changed."`
	Interval time.Duration `default:"2s" help:"Time between updates, with --watch."`
}

// Validate is called with the flags.
func (w watchFlags) Validate() error {
	if w.Interval < 100*time.Millisecond {
		return check.Mistake{Key: "--interval", Value: w.Interval.String(), Problem: "want at least 100ms"}
	}
	return nil
}

// view is what a command shows, once or again and again.
type view[T any] struct {
	// look fetches what there is now; more says that the bridge has more of it.
	look  func(context.Context) (items []T, more bool, err error)
	table func([]T) table
	// id tells items apart, so that only those that changed are told again. Nil: all are.
	id func(T) string
}

// show shows a view as the flags say.
func show[T any](ctx context.Context, w watchFlags, s *server, p printer, v view[T]) error {
	items, more, err := v.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case w.Watch && isTerminal(p.out) && !p.json:
		return watchScreen(ctx, w.Interval, s, p.out.(*os.File), v, items)
	case w.Watch:
		return watchLines(ctx, w.Interval, s, p, v, items)
	case p.json:
		for _, item := range items {
			if err := writeJSON(p.out, item); err != nil {
				return err
			}
		}
	default:
		if err := p.say(v.table(items).String()); err != nil {
			return err
		}
	}
	if more {
		fmt.Fprintln(p.errOut, "There are more: --limit 0 lists all.")
	}
	return nil
}

// watchLines prints what is new at each look until ctx ends, the oldest first. A bridge that is away for a
// while is said to be so, once, and waited for.
func watchLines[T any](ctx context.Context, interval time.Duration, s *server, p printer, v view[T], items []T) error {
	told := map[string]string{}
	lost := false
	for {
		now := map[string]string{}
		for _, item := range slices.Backward(items) {
			line := &strings.Builder{}
			if err := writeJSON(line, item); err != nil {
				return err
			}
			if v.id != nil {
				now[v.id(item)] = line.String()
				if told[v.id(item)] == line.String() {
					continue
				}
			}
			if _, err := io.WriteString(p.out, line.String()); err != nil {
				return err
			}
		}
		if !lost {
			told = now
		}
		if period.Pause(ctx, interval) != nil {
			return nil
		}
		var err error
		items, _, err = v.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case refused(err):
			return err
		case err != nil && !lost:
			fmt.Fprintf(p.errOut, "pollbridge: %v; trying again\n", s.explained(err))
		}
		lost = err != nil
	}
}

// watchScreen redraws the table at each look until ctx ends, and leaves the last one.
func watchScreen[T any](ctx context.Context, interval time.Duration, s *server, out *os.File, v view[T], items []T) error {
	// On a screen of its own, without a cursor, where what is too wide is cut off.
	io.WriteString(out, "\x1b[?1049h\x1b[?25l\x1b[?7l")
	last, note := v.table(items).String(), ""
	defer func() { io.WriteString(out, "\x1b[?7h\x1b[?25h\x1b[?1049l"+last) }()
	for {
		head := fmt.Sprintf("%s, every %s; Ctrl-C stops%s\n\n", time.Now().Format(time.TimeOnly), interval, note)
		io.WriteString(out, frame(out, head+last))
		if period.Pause(ctx, interval) != nil {
			return nil
		}
		items, _, err := v.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case refused(err):
			return err
		case err != nil:
			note = "\n" + s.explained(err).Error()
		default:
			last, note = v.table(items).String(), ""
		}
	}
}

// frame goes over the frame before in one write, so that nothing flickers.
func frame(out *os.File, text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if _, height, err := term.GetSize(int(out.Fd())); err == nil && height > 0 && len(lines) > height {
		lines = lines[:height]
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\x1b[J"
}

// limitFlag bounds lists.
type limitFlag struct {
	Limit int `default:"50" help:"The most to list, newest first; 0: all."`
}

// pages gathers as many items of a list as the flag says.
func pages[T any](ctx context.Context, limit int, list func(context.Context, api.Page) (api.List[T], error)) (items []T, more bool, err error) {
	const most = 200 // of a page
	var page api.Page
	for {
		page.Limit = most
		if limit > 0 {
			page.Limit = min(most, limit-len(items))
		}
		part, err := list(ctx, page)
		if err != nil {
			return nil, false, err
		}
		items = append(items, part.Items...)
		if part.Next == "" || limit > 0 && len(items) >= limit {
			return items, part.Next != "", nil
		}
		page.Cursor = part.Next
	}
}
