package main

import (
	"context"
	"slices"
	"time"

	"pollbridge/admin/api"
)

type sessionsShowCmd struct {
	sessionArg
	remote
}

// mostOfSession is of how many deliveries of a session the attempts are shown.
const mostOfSession = 50

// wholeSession is a session with all that happened to it.
type wholeSession struct {
	api.Session
	Events     []api.Event                `json:"events"`
	Deliveries []api.DeliveryWithAttempts `json:"deliveries"`
}

// Run shows a session, how it is polled, and its timeline.
func (c *sessionsShowCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		whole, err := fetchSession(ctx, b, c.ID)
		if err != nil {
			return err
		}
		if err := p.object(whole, sessionFields(whole.Session)); err != nil {
			return err
		}
		return p.say("\n" + timeline(whole).String())
	})
}

func fetchSession(ctx context.Context, b *server, id string) (whole wholeSession, err error) {
	if whole.Session, err = b.Session(ctx, id); err != nil {
		return whole, err
	}
	events, err := b.SessionEvents(ctx, id)
	if err != nil {
		return whole, err
	}
	whole.Events = events.Items
	sent, _, err := pages(ctx, mostOfSession, func(ctx context.Context, page api.Page) (api.List[api.Delivery], error) {
		return b.Deliveries(ctx, api.DeliveryFilter{Session: id}, page)
	})
	if err != nil {
		return whole, err
	}
	for _, d := range slices.Backward(sent) { // the oldest first, as events
		found, err := b.Delivery(ctx, d.ID)
		if err != nil {
			return whole, err
		}
		whole.Deliveries = append(whole.Deliveries, found)
	}
	return whole, nil
}

// timeline is what happened to a session: its events, and what was tried to tell of them.
func timeline(s wholeSession) table {
	type moment struct {
		at  time.Time
		row []string
	}
	var all []moment
	tell := func(at time.Time, what, detail, delivery string) {
		all = append(all, moment{at, []string{at.Local().Format(time.DateTime), what, detail, delivery}})
	}
	if len(s.Events) == 0 {
		tell(s.CreatedAt, "first seen", "", "")
	}
	for _, e := range s.Events {
		told := readEvent(e)
		tell(told.Timestamp, e.Type, told.change(), "")
	}
	for _, d := range s.Deliveries {
		for _, a := range d.Attempts {
			tell(a.At, "attempt", listed(outcome(a), took(a), a.Detail), d.ID)
		}
		if d.State != "delivered" {
			tell(d.UpdatedAt, "delivery "+d.State, listed(d.Reason, unlessZero("next attempt %s", at(d.NextAttemptAt))), d.ID)
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	t := table{head: []string{"AT", "WHAT", "DETAIL", "DELIVERY"}}
	for _, one := range all {
		t.rows = append(t.rows, one.row)
	}
	return t
}
