package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// mostAttached is how many subscriptions can be attached to one session: clients name
// them, and each is kept.
const mostAttached = 16

// mostBound is how many subscriptions can be attached to sessions in all: they are
// kept in memory, for sessions that nobody may know.
const mostBound = 200_000

// attached are the subscriptions that were attached to one session each. It is safe for
// concurrent use.
type attached struct {
	subs       *subscriptions
	events     *event.Log
	deliveries *delivery.Service
	log        *slog.Logger
	most       int
	caughtUp   *caughtUp
}

// attach fails with ErrNotFound where a subscription goes that was there.
func (a *attached) attach(ctx context.Context, sub *subscription, tell bool) (Subscription, error) {
	existing := a.subs.registry.get(sub.ID)
	differs := existing != nil && existing.differs(sub, tell)
	if existing != nil && !differs && a.caughtUp.has(sub.Session, sub.ID) {
		return existing.view(), nil
	}
	caughtUp := a.caughtUp.begin(sub.Session, sub.ID)
	if differs {
		taken, err := a.takeOver(ctx, sub, tell)
		if err != nil {
			return Subscription{}, err
		}
		existing = taken
	}
	if existing == nil {
		last, d, _, err := a.lastDelivery(ctx, sub)
		if err != nil || last.Final && (d.State == delivery.Delivered || !sub.covers(last)) {
			return sub.view(), err // it is over and need not come back: clients name it with each poll
		}
		sub.From, sub.Heard = last.Position, last.GivenUpAt()
		if existing, err = a.createBound(ctx, sub); err != nil {
			return Subscription{}, err
		}
	}
	isNew := existing == nil
	sub = cmp.Or(existing, sub)
	if err := a.catchUp(ctx, sub); err != nil {
		return Subscription{}, err
	}
	caughtUp()
	if isNew && tell {
		return sub.withSecret(), nil
	}
	return sub.view(), nil // whoever gave the secret knows it
}

// differs reports whether what is attached again is to be another subscription than the one
// that is there. A secret counts if it was given.
func (sub *subscription) differs(other *subscription, secretMade bool) bool {
	return sub.IncludeFile != other.IncludeFile || sub.Signature != other.Signature || !secretMade && sub.Secret != other.Secret ||
		!slices.Equal(sub.Events, other.Events) || !maps.Equal(sub.Headers, other.Headers)
}

// takeOver has a subscription that is there be as it is attached now. The secret before signs
// for a while, too, as after a rotation.
func (a *attached) takeOver(ctx context.Context, attached *subscription, secretMade bool) (*subscription, error) {
	return a.subs.change(ctx, attached.ID, func(sub *subscription) error {
		if !sub.differs(attached, secretMade) {
			return errUnchanged
		}
		if secret := sub.Secret; !secretMade && secret != attached.Secret {
			sub.rotate(a.subs.store.Now())
			sub.Secret = attached.Secret
		}
		sub.IncludeFile, sub.Signature, sub.Events, sub.Headers = attached.IncludeFile, attached.Signature, attached.Events, attached.Headers
		sub.completeKeys()
		return nil
	})
}

// catchUp delivers the last event of a session to a subscription that is attached now: it
// may have been fanned out before the subscription was there, and a crash may have come
// between the two. If it was not, the two items are one.
func (a *attached) catchUp(ctx context.Context, sub *subscription) error {
	last, d, known, err := a.lastDelivery(ctx, sub)
	if err != nil {
		return err
	}
	if end := last.GivenUpAt(); end > sub.Heard {
		if err := a.noteHeard(ctx, sub, end); err != nil {
			return err
		}
	}
	switch {
	case last.Position > 0 && sub.covers(last) && (!known || d.EndedWithSubscription()):
		return a.deliveries.Deliver(ctx, sub.receiver(), last)
	case last.Final && d.State == delivery.Delivered: // to what was there before, and has gone since
		return a.release(ctx, sub, last)
	}
	return a.releaseUntold(ctx, sub, last)
}

// lastDelivery returns the last event of a bound subscription's session, and its delivery.
func (a *attached) lastDelivery(ctx context.Context, sub *subscription) (last *event.Event, d delivery.Delivery, known bool, err error) {
	if last, err = a.events.Last(ctx, sub.Session); err != nil {
		return nil, d, false, err
	}
	d, known, err = a.deliveries.Of(ctx, sub.ID, last)
	return last, d, known, err
}

// createBound stores a subscription, or returns the same one if somebody else was
// quicker. The bounds are about what memory has heard of: those who attach at the same moment,
// here or in another process, may exceed them by as many as they are.
func (a *attached) createBound(ctx context.Context, sub *subscription) (existing *subscription, err error) {
	switch attached, all := a.subs.registry.boundTo(sub.Session); {
	case len(attached) >= mostAttached:
		return nil, &FieldError{"url", fmt.Sprintf("the session already has %d webhooks", mostAttached)}
	case all >= a.most:
		return nil, ErrFull
	}
	if err := a.subs.create(ctx, sub); !errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	defer a.subs.registry.writing(sub.ID)() // it is put after it was read, and may go between
	existing, err = a.subs.find(ctx, sub.ID)
	switch {
	case err != nil:
		return nil, err
	case existing.Ended > 0: // whoever has deleted it makes way
		sub.revision = existing.revision
		if err := a.subs.update(ctx, sub); !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
		return nil, ErrNotFound
	}
	a.subs.registry.put(existing)
	return existing, nil
}

// noteHeard makes a bound subscription outlive an end of its session at which that was
// given up: it may be watched once more. If it was released meanwhile the error is
// ErrNotFound.
func (a *attached) noteHeard(ctx context.Context, sub *subscription, end uint64) error {
	_, err := a.subs.change(ctx, sub.ID, func(sub *subscription) error {
		sub.Heard = end
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		a.subs.registry.remove(sub.ID, sub.revision, false)
	}
	return err
}
