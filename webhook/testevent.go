package webhook

import (
	"context"
	"strconv"

	"pollbridge/event"
	"pollbridge/webhook/send"
)

// Test sends a webhook.test event at once, whatever the subscription listens to and
// also if it is disabled, and returns what happened. It is not retried.
func (s *Service) Test(ctx context.Context, id string) (send.Attempt, error) {
	sub, err := s.subs.stored(ctx, id)
	if err != nil {
		return send.Attempt{}, err
	}
	now := s.store.Now()
	payload, err := event.TestPayload(event.Operational{Subscription: sub.ID, Description: sub.Description}, now)
	if err != nil {
		return send.Attempt{}, err
	}
	s.events.Count(event.TypeTest)
	eventID := s.store.ID("evt_", sub.ID, event.TypeTest, strconv.FormatInt(now.UnixNano(), 10))
	return s.deliveries.Send(ctx, sub.receiver(), eventID, payload), nil
}
