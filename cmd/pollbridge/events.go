package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/period"
)

type eventsCmd struct {
	Tail eventsTailCmd `cmd:"" help:"Print events as they happen, until Ctrl-C."`
}

type eventsTailCmd struct {
	All   bool   `xor:"from" help:"Begin with the oldest that is stored."`
	After string `xor:"from" placeholder:"CURSOR" help:"Begin after this one: the cursor of an event, as --json shows it."`
	remote
}

// Run prints events until ctx ends. A bridge that is away for a while is waited for, and
// nothing is missed.
func (c *eventsTailCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		after := c.After
		if c.All {
			var err error
			if after, err = printStored(ctx, b, p); err != nil {
				return ended(ctx, err)
			}
		}
		return follow(ctx, b, p, after)
	})
}

// printStored prints what is stored, and returns where to go on.
func printStored(ctx context.Context, b *server, p printer) (next string, err error) {
	for {
		part, err := b.Events(ctx, api.EventQuery{After: next, Limit: 200})
		if err != nil {
			return "", gone(err)
		}
		for _, e := range part.Items {
			if err := p.event(e); err != nil {
				return "", err
			}
		}
		next = part.Next
		if len(part.Items) == 0 {
			return next, nil
		}
	}
}

// follow prints events that follow, and connects again where the stream ends.
func follow(ctx context.Context, b *server, p printer, after string) error {
	connected, lost := false, false
	for {
		stream, err := b.FollowEvents(ctx, after)
		if err == nil {
			connected, lost = true, false
			var broken error
			if broken, err = printStream(stream, p); err != nil {
				return err
			}
			after, err = stream.LastID(), broken
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (!connected || refused(err)):
			return gone(err)
		case err != nil && !lost:
			lost = true
			fmt.Fprintf(p.errOut, "pollbridge: %v; trying again\n", b.explained(err))
		}
		if period.Pause(ctx, time.Second) != nil {
			return nil
		}
	}
}

// printStream prints events until the stream ends; broken says why, if it did not end by
// itself.
func printStream(stream *api.EventStream, p printer) (broken, err error) {
	defer stream.Close()
	for e, broken := range stream.All() {
		if broken != nil {
			return broken, nil
		}
		if err := p.event(e); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// gone says where to go on where events may be missing.
func gone(err error) error {
	if problem, ok := errors.AsType[*api.Problem](err); ok && problem.Status == http.StatusGone {
		problem.Detail += ": --after " + problem.OldestCursor + ", or --all"
	}
	return err
}

// ended is err, unless that is only that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// event prints an event as a line.
func (p printer) event(e api.Event) error {
	if p.json {
		return writeJSON(p.out, e)
	}
	told := readEvent(e)
	line := fmt.Sprintf("%s  %-20s  %s  %s", told.Timestamp.Local().Format(time.DateTime), e.Type, e.Subject, listed(told.Data.Endpoint, told.change()))
	return p.say(printable(line) + "\n")
}

// toldEvent is what an event says, of a session or of a subscription.
type toldEvent struct {
	Timestamp time.Time
	Data      struct {
		Endpoint      string
		State         string
		PreviousState string `json:"previous_state"`
		ErrorCode     int    `json:"error_code"`
		Message       string
		Reason        string
		Description   string
	}
}

// readEvent leaves out what cannot be read.
func readEvent(e api.Event) (told toldEvent) {
	_ = json.Unmarshal(e.Payload, &told)
	return told
}

// change is what has changed, in words.
func (e toldEvent) change() string {
	d := e.Data
	change := d.State
	if d.PreviousState != "" {
		change = d.PreviousState + " -> " + d.State
	}
	return listed(change, unlessZero("code %d", d.ErrorCode), d.Message, d.Description, d.Reason)
}
