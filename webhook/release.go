package webhook

import (
	"context"
	"errors"
	"iter"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// delivered lets go of a bound subscription if it has had its last event now.
func (a *attached) delivered(ctx context.Context, id string, e *event.Event) {
	sub := a.subs.registry.get(id)
	if sub == nil {
		return
	}
	if sub.Bound && e.Last() {
		a.caughtUp.forget(e.Key)
	}
	var err error
	switch {
	case !sub.Bound:
	case e.Last():
		err = a.release(ctx, sub, e)
	case len(sub.Events) > 0:
		var last *event.Event
		if last, err = a.events.Last(ctx, e.Key); err == nil {
			err = a.releaseUntold(ctx, sub, last)
		}
	}
	a.tellRelease(sub, err)
}

// tellRelease logs that a subscription could not be released: its time to live ends it.
func (a *attached) tellRelease(sub *subscription, err error) {
	if err != nil {
		a.log.Warn("cannot remove the subscription of a finished session, it will expire", "subscription", sub.ID, "error", err)
	}
}

// letGo deletes a subscription if over says so of the form in which it is deleted: whoever
// attaches it again meanwhile, in whatever process, either writes first, and over is asked
// again, or finds that it has gone.
func (a *attached) letGo(ctx context.Context, sub *subscription, over func(*subscription) (bool, error)) error {
	for {
		if gone, err := over(sub); err != nil || !gone {
			return err
		}
		err := a.subs.dropIf(ctx, sub)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if sub, err = a.subs.stored(ctx, sub.ID); err != nil {
			return unlessNotFound(err)
		}
	}
}

func unlessNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// release lets go of a bound subscription that has had an event with which its session was
// over. If that was given up and has another event since, or is watched once more for whoever
// has attached the subscription again, it stays. The delivery of an event that is recorded at
// that moment is dead, and made again with the subscription.
func (a *attached) release(ctx context.Context, sub *subscription, e *event.Event) error {
	if !e.Final {
		// What memory knows may be older than that it was attached again, and than the delivery
		// of e: who has it end with e looks whether that was delivered, see releaseAgain.
		stored, err := a.subs.stored(ctx, sub.ID)
		if err != nil {
			return unlessNotFound(err)
		}
		sub = stored
	}
	over := false
	err := a.letGo(ctx, sub, func(sub *subscription) (_ bool, err error) {
		over = false
		if !e.Final && sub.Heard >= e.Position {
			return false, nil
		}
		if last, err := a.events.Last(ctx, e.Key); err != nil || last.Position != e.Position {
			return false, err
		}
		over = true
		return true, a.supersede(ctx, sub, e)
	})
	if err != nil || !over || e.Final {
		return err
	}
	return a.missed(ctx, sub, e)
}

// missed lists an event as dead that was recorded while a subscription was let go with the one
// before it: it is handed out to nobody.
func (a *attached) missed(ctx context.Context, sub *subscription, e *event.Event) error {
	last, err := a.events.Last(ctx, e.Key)
	if err != nil || last.Position <= e.Position || !sub.covers(last) {
		return err
	}
	return a.deliveries.Deliver(ctx, sub.receiver(), last)
}

// releaseUntold lets go of a bound subscription whose session is over and which does not
// want to be told of that, unless something else waits for it.
func (a *attached) releaseUntold(ctx context.Context, sub *subscription, last *event.Event) error {
	return a.letGo(ctx, sub, func(sub *subscription) (bool, error) {
		if !sub.Bound || !last.Final || sub.covers(last) {
			return false, nil
		}
		return a.hasHad(ctx, sub, last)
	})
}

// givenUp is told that a session was given up, after the event of that was published, or once
// more, which makes no other event: then who has had all of them is let go.
func (a *attached) givenUp(ctx context.Context, sessionID string, published bool) {
	attached, _ := a.subs.registry.boundTo(sessionID)
	for _, sub := range attached {
		if published || sub.Heard == 0 {
			continue
		}
		a.tellRelease(sub, a.releaseAgain(ctx, sub))
	}
}

// releaseAgain lets go of a bound subscription that was attached again, or has it end with
// the event that it still waits for.
func (a *attached) releaseAgain(ctx context.Context, sub *subscription) error {
	last, err := a.events.Last(ctx, sub.Session)
	if err != nil || last.Final {
		return err
	}
	hasHad := func(sub *subscription) (bool, error) { return a.hasHad(ctx, sub, last) }
	switch had, err := hasHad(sub); {
	case err != nil:
		return err
	case had:
		return a.letGo(ctx, sub, hasHad)
	}
	sub, err = a.subs.change(ctx, sub.ID, func(sub *subscription) error {
		sub.Heard = 0
		return nil
	})
	if err != nil {
		return unlessNotFound(err)
	}
	// Whoever has delivered the event may have looked before this was written.
	return a.letGo(ctx, sub, func(sub *subscription) (bool, error) {
		if sub.Heard > 0 { // it was attached once more
			return false, nil
		}
		return hasHad(sub)
	})
}

// hasHad reports whether a subscription has had all that it wants of a session, up to its
// last event. What is dead may still be delivered again.
func (a *attached) hasHad(ctx context.Context, sub *subscription, last *event.Event) (bool, error) {
	for e := range a.upTo(last) {
		if e.Position < sub.From || !sub.covers(e) {
			continue
		}
		d, _, err := a.deliveries.Of(ctx, sub.ID, e)
		if err != nil || d.State == delivery.Waiting || d.State == delivery.Dead {
			return false, err
		}
	}
	return true, nil
}

// before yields the events of a session before e, as far as their deliveries need them.
func (a *attached) before(e *event.Event) iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		for i, position := range e.Positions {
			eventType := e.Seen[len(e.Seen)-1-len(e.Positions)+i]
			if !yield(&event.Event{
				ID: a.events.SessionEventID(e.Key, eventType), Type: eventType, Endpoint: e.Endpoint, Account: e.Account,
				Key: e.Key, Position: position,
			}) {
				return
			}
		}
	}
}

// upTo yields the events of a session before e, and e.
func (a *attached) upTo(e *event.Event) iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		for earlier := range a.before(e) {
			if !yield(earlier) {
				return
			}
		}
		yield(e)
	}
}

// supersede ends what waits of the events before e for a subscription, also what was
// never tried because e has overtaken it.
func (a *attached) supersede(ctx context.Context, sub *subscription, e *event.Event) error {
	for earlier := range a.before(e) {
		if !sub.covers(earlier) {
			continue
		}
		if err := a.deliveries.Supersede(ctx, sub.receiver(), earlier); err != nil {
			return err
		}
	}
	return nil
}

// changed records a change of state, see event.Log.
func (a *attached) changed(ctx context.Context, c event.Change) (recorded bool, err error) {
	recorded, err = a.events.Record(ctx, c)
	givenUp := c.Type == event.TypeNotFound || c.Type == event.TypeAbandoned
	if recorded || givenUp || err != nil {
		a.caughtUp.forget(c.Session)
	}
	if err == nil && givenUp {
		a.givenUp(ctx, c.Session, recorded)
		a.caughtUp.forget(c.Session) // what was attached meanwhile may not be heard any more
	}
	return recorded, err
}

// fansOut lets go of those attached to a session that do not want to be told of its end.
// After an error it has to be called again: nothing else would end them for days.
func (a *attached) fansOut(ctx context.Context, e *event.Event) error {
	if !e.Final {
		return nil
	}
	found, _ := a.subs.registry.boundTo(e.Key)
	if len(found) == 0 {
		return nil
	}
	// If the session was erased, those are attached to the same one registered again.
	switch _, err := a.events.Get(ctx, e.Position); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unlessDamaged(err) // they expire
	}
	for _, sub := range found {
		err := a.releaseUntold(ctx, sub, e)
		if unlessDamaged(err) != nil {
			return err
		}
		a.tellRelease(sub, err)
	}
	return nil
}

// unlessDamaged is an error that may be gone the next time.
func unlessDamaged(err error) error {
	if errors.Is(err, store.ErrDamaged) {
		return nil
	}
	return err
}
