package main

import (
	"context"
	"fmt"

	"pollbridge/admin/api"
)

type deliveriesCmd struct {
	List      deliveriesListCmd      `cmd:"" help:"List deliveries, the most recently changed first."`
	Show      deliveriesShowCmd      `cmd:"" help:"Show a delivery with its attempts."`
	Redeliver deliveriesRedeliverCmd `cmd:"" help:"Begin a delivery anew, whatever its state was."`
}

type deliveriesListCmd struct {
	Subscription string `placeholder:"ID" complete:"subscriptions" help:"Only deliveries to this subscription, sub_…"`
	Session      string `placeholder:"ID" help:"Only deliveries about this session, ses_…"`
	State        string `placeholder:"STATE" complete:"waiting,delivered,dead,superseded" help:"Only deliveries in this state."`
	limitFlag
	watchFlags
	remote
}

// Run lists deliveries.
func (c *deliveriesListCmd) Run(ctx context.Context, s *streams) error {
	filter := api.DeliveryFilter{Subscription: c.Subscription, Session: c.Session, State: c.State}
	return c.call(s, func(b *server, p printer) error {
		return show(ctx, c.watchFlags, b, p, view[api.Delivery]{
			look: func(ctx context.Context) ([]api.Delivery, bool, error) {
				return pages(ctx, c.Limit, func(ctx context.Context, page api.Page) (api.List[api.Delivery], error) {
					return b.Deliveries(ctx, filter, page)
				})
			},
			table: deliveriesTable,
			id:    func(d api.Delivery) string { return d.ID },
		})
	})
}

func deliveriesTable(all []api.Delivery) table {
	t := table{
		head:  []string{"ID", "STATE", "EVENT", "ATTEMPTS", "NEXT", "CHANGED", "SUBSCRIPTION", "REASON"},
		empty: "There are no such deliveries.",
	}
	for _, d := range all {
		t.rows = append(t.rows, []string{d.ID, d.State, d.Type, fmt.Sprint(d.AttemptCount), ago(d.NextAttemptAt), ago(d.UpdatedAt), d.Subscription, short(d.Reason, 60)})
	}
	return t
}

func deliveryFields(d api.Delivery) (t table) {
	t.field("id", d.ID)
	t.field("state", listed(d.State, d.Reason))
	t.field("event", listed(d.Type, d.Event))
	t.field("about", d.Session)
	t.field("subscription", d.Subscription)
	t.field("attempts", fmt.Sprint(d.AttemptCount))
	t.field("next attempt", at(d.NextAttemptAt))
	t.field("changed", at(d.UpdatedAt))
	t.field("created", at(d.CreatedAt))
	return t
}

// deliveryArg is the argument of what is done to a delivery.
type deliveryArg struct {
	ID string `arg:"" name:"id" help:"Id of a delivery, dlv_…"`
}

type deliveriesShowCmd struct {
	deliveryArg
	remote
}

// Run shows a delivery and all that was tried.
func (c *deliveriesShowCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		found, err := b.Delivery(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := p.object(found, deliveryFields(found.Delivery)); err != nil || len(found.Attempts) == 0 {
			return err
		}
		t := table{head: []string{"ATTEMPTED", "OUTCOME", "TOOK", "DETAIL", "ANSWER"}}
		for _, a := range found.Attempts {
			t.rows = append(t.rows, []string{at(a.At), outcome(a), took(a), a.Detail, short(a.Answer, 80)})
		}
		return p.say("\n" + t.String())
	})
}

// outcome is an attempt in a word or two.
func outcome(a api.Attempt) string {
	return listed(onlyIf(a.Success, "delivered"), unlessZero("HTTP %d", a.Status), a.Error)
}

func took(a api.Attempt) string { return fmt.Sprintf("%d ms", a.DurationMS) }

type deliveriesRedeliverCmd struct {
	deliveryArg
	remote
}

// Run begins a delivery anew.
func (c *deliveriesRedeliverCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		begun, err := b.Redeliver(ctx, c.ID)
		if err != nil {
			return err
		}
		return p.object(begun, deliveryFields(begun))
	})
}
