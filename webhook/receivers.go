package webhook

import (
	"context"

	"pollbridge/event"
	"pollbridge/webhook/delivery"
)

// receivers is what deliveries know of subscriptions, and how these hear of them.
type receivers struct{ s *Service }

func (r receivers) Subscription(id string) *delivery.Subscription {
	if sub := r.s.subs.registry.get(id); sub != nil {
		return sub.receiver()
	}
	return nil
}

func (r receivers) Matching(e *event.Event) (found []*delivery.Subscription) {
	for _, sub := range r.s.subs.registry.matching(e) {
		found = append(found, sub.receiver())
	}
	return found
}

// Current waits until memory knows of each change of a subscription that was made before.
func (r receivers) Current(ctx context.Context) error { return r.s.subs.current(ctx) }

// FansOut lets go of whoever is attached to a session of which this is the end, and did
// not ask for it.
func (r receivers) FansOut(ctx context.Context, e *event.Event) error {
	return r.s.attached.fansOut(ctx, e)
}

func (r receivers) Delivered(ctx context.Context, id string, e *event.Event) {
	r.s.health.worked(ctx, id)
	r.s.attached.delivered(ctx, id, e)
}

func (r receivers) Failed(ctx context.Context, id string) { r.s.health.failed(ctx, id) }

func (r receivers) Gone(ctx context.Context, id, deliveryID string) error {
	return r.s.health.gone(ctx, id, deliveryID)
}

// receiver is what deliveries need to know of sub.
func (sub *subscription) receiver() *delivery.Subscription {
	return &delivery.Subscription{
		ID: sub.ID, Consumer: sub.consumer, URL: sub.URL, Headers: sub.Headers, IncludeFile: sub.IncludeFile,
		Disabled: sub.DisabledReason != "", SharesConsumer: sub.Bound, FailingSince: sub.FailingSince, Keys: sub.keys,
	}
}
