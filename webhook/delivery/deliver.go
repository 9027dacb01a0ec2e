package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// freshFor is less than the time for which the queue does not add the same item twice.
const freshFor = time.Minute

// deliver deals with an item: it makes an attempt, or finds out that there is none to
// make. What came of it is durable when it returns nil; after an error the item has to
// be dealt with again. Each step may be followed by a crash: the item comes back then,
// and the record says what was done. Where an attempt was made and could not be recorded,
// that is all that is tried again.
func (s *Service) deliver(c *consumer, j *job) error {
	var w work
	if err := json.Unmarshal(j.Value, &w); err != nil {
		s.log.Error("skipping an unreadable item of the delivery queue", "item", j.Name, "error", err)
		return nil
	}
	e, d, err := s.read(w, j.first)
	if err != nil {
		return err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.living.Done():
		return errNotNow
	}
	ctx, cancel := storeContext()
	defer cancel()
	sub := s.subscriptions.Subscription(w.Subscription)
	switch {
	case w.Position < d.Position, w.Round < d.Round:
		return nil // the session was erased and is there again, or an earlier round, which was over
	case w.Round == d.Round && d.over():
		return s.settleAgain(ctx, sub, e, d)
	case w.Round > d.Round:
		d.begin(w.Round)
	}
	switch gone := e.Recorded.IsZero() || s.records.erased.has(e.Key, e.Position); {
	case gone && d.revision == 0:
		return nil // erased, and nobody knows of it
	case gone:
		return s.conclude(ctx, d, Dead, reasonForgotten)
	case j.sent != nil && !d.has(j.sent.Attempt):
		return s.note(ctx, j, e, d)
	case sub == nil && d.revision == 0:
		return nil
	case sub == nil:
		return s.conclude(ctx, d, Dead, reasonDeleted)
	case sub.Disabled:
		return s.conclude(ctx, d, Dead, reasonDisabled)
	case time.Until(d.Next) > 10*time.Millisecond:
		return s.later(ctx, j.Item, d)
	case d.Tries > 0 && !e.Final && !e.Operational():
		over, err := s.finalDelivered(ctx, d)
		if err != nil {
			return err
		}
		if over {
			return s.conclude(ctx, d, Superseded, "")
		}
	}
	return s.attempt(c, j, sub, e, d)
}

// read returns the event of an item, without a time if it is not kept any more, and the
// delivery as it is stored, else a new one.
func (s *Service) read(w work, first bool) (e *event.Event, d *delivery, err error) {
	if recent, ok := s.events.Recent(w.Subject, w.Position); ok && first && !s.mayHaveRecord(w, recent) {
		e = recent
		return e, newDelivery(s.records.id(w.Subscription, e.ID), w.Subscription, e), nil
	}
	ctx, cancel := storeContext()
	defer cancel()
	if e, err = s.events.Get(ctx, w.Position); errors.Is(err, store.ErrNotFound) {
		e, err = &event.Event{ID: w.Event, Key: w.Subject, Position: w.Position}, nil
	}
	if err == nil {
		d, err = s.records.of(ctx, w.Subscription, e)
	}
	return e, d, err
}

// mayHaveRecord reports whether something can be stored about a delivery whose item is
// handed out for the first time: from a try before, or of an item that was added twice.
// Should something be stored all the same, it cannot be overwritten: it is read then,
// after an attempt too many.
func (s *Service) mayHaveRecord(w work, e *event.Event) bool {
	return w.Tried || w.Round > 0 || time.Since(e.Recorded) > freshFor
}

func storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), storeTimeout)
}

// attempt sends the event and notes what came of it, even while the service closes.
func (s *Service) attempt(c *consumer, j *job, sub *Subscription, e *event.Event, d *delivery) error {
	payload, finish, err := s.files.payload(sub, e)
	if err != nil {
		return err
	}
	defer finish()
	if s.store.Err() != nil {
		return errNotNow // since this item was entered
	}
	o, err := c.send(s.sending, messageTo(sub, e.ID, payload))
	if err != nil {
		return err
	}
	s.log.Debug("webhook sent", "subscription", sub.ID, "delivery", d.ID, "host", hostOf(sub.URL), "event", e.Type,
		"status", o.Status, "error", o.Error, "detail", o.Detail, "took", o.Duration)
	s.tell(c, sub, o)
	j.sent = &sent{o, sub}

	ctx, cancel := storeContext()
	defer cancel()
	return s.note(ctx, j, e, d)
}

// has reports whether an attempt is recorded.
func (d *delivery) has(a send.Attempt) bool {
	return slices.ContainsFunc(d.Attempts, func(known send.Attempt) bool { return known.At.Equal(a.At) })
}

// note records the attempt that was made of a job.
func (s *Service) note(ctx context.Context, j *job, e *event.Event, d *delivery) error {
	d.Tries++
	d.Attempts = append(d.Attempts, j.sent.Attempt)
	d.Attempts = d.Attempts[max(0, len(d.Attempts)-mostAttempts):]
	d.Next = time.Time{}
	if j.sent.Succeeded() {
		return s.succeeded(ctx, j.sent.sub, e, d)
	}
	return s.failed(ctx, j, d)
}

// tell has the log say what an attempt changes, unless the subscription's end says more.
func (s *Service) tell(c *consumer, sub *Subscription, o send.Outcome) {
	if now := s.subscriptions.Subscription(sub.ID); now == nil || now.Disabled || o.Gone && !sub.Shared {
		return
	}
	s.receivers.attempted(sub, o.Attempt, c.breaker.State() == gobreaker.StateOpen)
}

func (s *Service) succeeded(ctx context.Context, sub *Subscription, e *event.Event, d *delivery) error {
	if err := s.conclude(ctx, d, Delivered, ""); err != nil {
		return err
	}
	s.metrics.seconds.Observe(max(0, time.Since(e.At).Seconds()))
	s.subscriptions.Delivered(ctx, sub.ID, e)
	return nil
}

// settleAgain does what follows the end of a delivery: a crash may have come before that.
func (s *Service) settleAgain(ctx context.Context, sub *Subscription, e *event.Event, d *delivery) error {
	if err := s.records.settle(ctx, d); err != nil {
		return err
	}
	if sub != nil && d.State == Delivered {
		s.subscriptions.Delivered(ctx, sub.ID, e)
	}
	return nil
}

func (s *Service) failed(ctx context.Context, j *job, d *delivery) error {
	sub, o := j.sent.sub, j.sent.Outcome
	if o.Gone {
		if err := s.subscriptions.Gone(ctx, sub.ID, d.ID); err != nil {
			return fmt.Errorf("disabling a subscription whose receiver answered 410: %w", err)
		}
		return s.conclude(ctx, d, Dead, reasonGone)
	}
	if d.Tries > len(s.cfg.Retries) {
		if err := s.conclude(ctx, d, Dead, reasonNoRetries); err != nil {
			return err
		}
		s.subscriptions.Failed(ctx, sub.ID)
		s.receivers.gaveUp(sub)
		return nil
	}
	wait := max(jitter(s.cfg.Retries[d.Tries-1]), o.RetryAfter)
	d.Next = o.At.Add(o.Duration + wait)
	if err := s.records.write(ctx, d); err != nil {
		return fmt.Errorf("storing an attempt: %w", err)
	}
	s.subscriptions.Failed(ctx, sub.ID)
	s.metrics.deliveries.WithLabelValues("retried").Inc()
	return s.later(ctx, j.Item, d)
}

// conclude notes that a delivery is over.
func (s *Service) conclude(ctx context.Context, d *delivery, state, reason string) error {
	d.State, d.Reason, d.Next = state, reason, time.Time{}
	if err := s.records.write(ctx, d); err != nil {
		return fmt.Errorf("storing the end of a delivery: %w", err)
	}
	s.metrics.deliveries.WithLabelValues(state).Inc()
	if state == Dead {
		s.log.Debug("webhook delivery is dead", "subscription", d.Subscription, "delivery", d.ID, "event", d.Type, "reason", reason, "attempts", d.Tries)
	}
	return s.records.settle(ctx, d)
}

// finalDelivered reports whether the same subscription has had the final event of the
// same session, which is the last one about it.
func (s *Service) finalDelivered(ctx context.Context, d *delivery) (bool, error) {
	last, err := s.events.Last(ctx, d.Session)
	if err != nil || !last.Final {
		return false, err
	}
	final, err := s.records.of(ctx, d.Subscription, last)
	return err == nil && final.State == Delivered, err
}
