package delivery

import (
	"context"
	"fmt"
	"time"
)

// conclude notes that a delivery is over.
func (s *Service) conclude(ctx context.Context, d *delivery, state, reason string) error {
	d.WasDead = d.WasDead || d.State == Dead
	d.State, d.Reason, d.Next = state, reason, time.Time{}
	if err := s.records.write(ctx, d); err != nil {
		return fmt.Errorf("storing the end of a delivery: %w", err)
	}
	s.metrics.deliveries.WithLabelValues(state).Inc()
	if state == Dead {
		s.log.Debug("webhook delivery is dead", "subscription", d.Subscription, "delivery", d.ID, "event", d.Type, "reason", reason, "attempts", d.Tries)
	}
	return s.records.reconcile(ctx, d)
}
