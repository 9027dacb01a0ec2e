package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// freshFor is less than the time for which the queue does not add the same item twice.
const freshFor = time.Minute

// mostAttempts are kept with a delivery; of more, the first ones are forgotten.
const mostAttempts = 32

// delivery is a record of the table of deliveries; its key is made of subscription,
// session and id. It is written when something has happened to the delivery: until
// then the item of the queue is all there is.
type delivery struct {
	Delivery
	Position uint64 `json:"place"`           // of the event in the journal
	Round    int    `json:"round,omitempty"` // counts the redeliveries
	Tries    int    `json:"tries,omitempty"` // in this round

	revision uint64 // 0: not stored
}

func newDelivery(id, subscriptionID string, e *event.Event) *delivery {
	return &delivery{Position: e.Position, Delivery: Delivery{
		ID: id, Subscription: subscriptionID, Session: e.Key, Event: e.ID, Type: e.Type, State: StateWaiting, Created: time.Now(),
	}}
}

func (d *delivery) key() string { return d.Subscription + "." + d.Session + "." + d.ID }

func (d *delivery) over() bool { return d.State != StateWaiting }

// begin starts another round.
func (d *delivery) begin(round int) {
	d.Round, d.State, d.Reason, d.Tries, d.Next = round, StateWaiting, "", 0, time.Time{}
}

func (s *Service) deliveryID(subscriptionID, eventID string) string {
	return s.store.ID("dlv_", eventID, subscriptionID)
}

func (s *Service) deliveryKey(subscriptionID string, e *event.Event) string {
	return subscriptionID + "." + e.Key + "." + s.deliveryID(subscriptionID, e.ID)
}

// readDelivery returns a stored delivery, or store.ErrNotFound.
func (s *Service) readDelivery(ctx context.Context, key string) (*delivery, error) {
	r, err := s.deliveries.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return readDelivery(r)
}

func readDelivery(r store.Record) (*delivery, error) {
	d := &delivery{revision: r.Revision}
	tokens := strings.Split(r.Key, ".")
	if err := json.Unmarshal(r.Value, d); err != nil || len(tokens) != 3 {
		return nil, fmt.Errorf("%w: delivery %s", store.ErrDamaged, r.Key)
	}
	d.Subscription, d.Session, d.Updated = tokens[0], tokens[1], r.At
	return d, nil
}

// writeDelivery makes d durable. It fails with store.ErrConflict if somebody else has
// changed it since it was read, and does nothing about an event that was erased.
func (s *Service) writeDelivery(ctx context.Context, d *delivery) error {
	writes := s.writes.of(d.Session)
	writes.RLock()
	defer writes.RUnlock()
	if s.erased.has(d.Session, d.Position) {
		return nil
	}
	value := encoded(d)
	write := func() (err error) {
		if d.revision == 0 {
			_, err = s.deliveries.Create(ctx, d.key(), value, 0)
		} else {
			_, err = s.deliveries.Update(ctx, d.key(), value, d.revision, 0)
		}
		return err
	}
	err := write()
	if errors.Is(err, store.ErrConflict) && s.isBehind(ctx, d) {
		err = write()
	}
	return err
}

// encoded is the JSON of a record, of an item or of the header of an event.
func encoded(v any) []byte {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always have one
	}
	return value
}

// isBehind reports whether what is stored says less than d: it is about an earlier event
// with the same id, or a redelivery was noted while its attempt was under way already. d
// then has the revision of that.
func (s *Service) isBehind(ctx context.Context, d *delivery) bool {
	stored, err := s.readDelivery(ctx, d.key())
	if err != nil {
		return false
	}
	earlier := stored.Position < d.Position
	if !earlier && (d.Round == 0 || stored.Round != d.Round || stored.Tries >= d.Tries) {
		return false
	}
	d.revision = stored.revision
	return true
}

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
	sub := s.registry.get(w.Subscription)
	switch {
	case w.Position < d.Position, w.Round < d.Round:
		return nil // the session was erased and is there again, or an earlier round, which was over
	case w.Round == d.Round && d.over():
		return s.settleAgain(ctx, sub, e, d)
	case w.Round > d.Round:
		d.begin(w.Round)
	}
	switch gone := e.Recorded.IsZero() || s.erased.has(e.Key, e.Position); {
	case gone && d.revision == 0:
		return nil // erased, and nobody knows of it
	case gone:
		return s.conclude(ctx, d, StateDead, "the event is no longer stored")
	case j.sent != nil && !d.has(j.sent.Attempt):
		return s.note(ctx, j, e, d)
	case sub == nil && d.revision == 0:
		return nil
	case sub == nil:
		return s.conclude(ctx, d, StateDead, "the subscription was deleted")
	case sub.DisabledReason != "":
		return s.conclude(ctx, d, StateDead, "the subscription is disabled")
	case time.Until(d.Next) > 10*time.Millisecond:
		return s.later(ctx, j.Item, d)
	case d.Tries > 0 && !e.Final && !e.Operational():
		over, err := s.finalDelivered(ctx, d)
		if err != nil {
			return err
		}
		if over {
			return s.conclude(ctx, d, StateSuperseded, "")
		}
	}
	return s.attempt(c, j, sub, e, d)
}

// read returns the event of an item, without a time if it is not kept any more, and the
// delivery as it is stored, else a new one.
func (s *Service) read(w work, first bool) (e *event.Event, d *delivery, err error) {
	if recent, ok := s.events.Recent(w.Subject, w.Position); ok && first && !s.mayHaveRecord(w, recent) {
		e = recent
		return e, newDelivery(s.deliveryID(w.Subscription, e.ID), w.Subscription, e), nil
	}
	ctx, cancel := storeContext()
	defer cancel()
	if e, err = s.events.Get(ctx, w.Position); errors.Is(err, store.ErrNotFound) {
		e, err = &event.Event{ID: w.Event, Key: w.Subject, Position: w.Position}, nil
	}
	if err == nil {
		d, err = s.deliveryOf(ctx, w.Subscription, e)
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

// deliveryOf returns the delivery of an event as it is stored, else a new one. What is
// stored of an earlier event with the same id, which is not kept any more, makes way.
func (s *Service) deliveryOf(ctx context.Context, subscriptionID string, e *event.Event) (*delivery, error) {
	stored, err := s.readDelivery(ctx, s.deliveryKey(subscriptionID, e))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading a delivery: %w", err)
	}
	if err == nil && stored.Position >= e.Position {
		return stored, nil
	}
	d := newDelivery(s.deliveryID(subscriptionID, e.ID), subscriptionID, e)
	if err == nil {
		d.revision = stored.revision
	}
	return d, nil
}

// attempt sends the event and notes what came of it, even while the service closes.
func (s *Service) attempt(c *consumer, j *job, sub *subscription, e *event.Event, d *delivery) error {
	payload, finish, err := s.payloadFor(sub, e)
	if err != nil {
		return err
	}
	defer finish()
	if s.store.Err() != nil {
		return errNotNow // since this item was entered
	}
	o, err := c.send(s.sending, send.Message{URL: sub.URL, ID: e.ID, Payload: payload, Headers: sub.Headers, Keys: sub.keys(time.Now())})
	if err != nil {
		return err
	}
	s.log.Debug("webhook sent", "subscription", sub.ID, "delivery", d.ID, "host", hostOfURL(sub.URL), "event", e.Type,
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
func (s *Service) tell(c *consumer, sub *subscription, o send.Outcome) {
	if now := s.registry.get(sub.ID); now == nil || now.DisabledReason != "" || o.Gone && !sub.Bound {
		return
	}
	s.receivers.attempted(sub, o.Attempt, c.breaker.State() == gobreaker.StateOpen)
}

func (s *Service) succeeded(ctx context.Context, sub *subscription, e *event.Event, d *delivery) error {
	if err := s.conclude(ctx, d, StateDelivered, ""); err != nil {
		return err
	}
	s.metrics.seconds.Observe(max(0, time.Since(e.At).Seconds()))
	s.worked(ctx, sub.ID)
	s.delivered(ctx, sub, e)
	return nil
}

// settleAgain does what follows the end of a delivery: a crash may have come before that.
func (s *Service) settleAgain(ctx context.Context, sub *subscription, e *event.Event, d *delivery) error {
	if err := s.settle(ctx, d); err != nil {
		return err
	}
	if sub != nil && d.State == StateDelivered {
		s.delivered(ctx, sub, e)
	}
	return nil
}

func (s *Service) failed(ctx context.Context, j *job, d *delivery) error {
	sub, o := j.sent.sub, j.sent.Outcome
	if o.Gone {
		if err := s.disable(ctx, sub, DisabledGone, d.ID); err != nil {
			return fmt.Errorf("disabling a subscription whose receiver answered 410: %w", err)
		}
		return s.conclude(ctx, d, StateDead, "the receiver answered 410: the subscription is disabled")
	}
	if d.Tries > len(s.cfg.Retries) {
		if err := s.conclude(ctx, d, StateDead, "no retries left"); err != nil {
			return err
		}
		s.failedAgain(ctx, sub.ID)
		s.receivers.gaveUp(sub)
		return nil
	}
	wait := max(jitter(s.cfg.Retries[d.Tries-1]), o.RetryAfter)
	d.Next = o.At.Add(o.Duration + wait)
	if err := s.writeDelivery(ctx, d); err != nil {
		return fmt.Errorf("storing an attempt: %w", err)
	}
	s.failedAgain(ctx, sub.ID)
	s.metrics.deliveries.WithLabelValues("retried").Inc()
	return s.later(ctx, j.Item, d)
}

// conclude notes that a delivery is over.
func (s *Service) conclude(ctx context.Context, d *delivery, state, reason string) error {
	d.State, d.Reason, d.Next = state, reason, time.Time{}
	if err := s.writeDelivery(ctx, d); err != nil {
		return fmt.Errorf("storing the end of a delivery: %w", err)
	}
	s.metrics.deliveries.WithLabelValues(state).Inc()
	if state == StateDead {
		s.log.Debug("webhook delivery is dead", "subscription", d.Subscription, "delivery", d.ID, "event", d.Type, "reason", reason, "attempts", d.Tries)
	}
	return s.settle(ctx, d)
}

// settle keeps the list of dead deliveries true. A delivery that is delivered again
// stays in it until that is over, so that nobody else has to write there.
func (s *Service) settle(ctx context.Context, d *delivery) (err error) {
	writes := s.writes.of(d.Session)
	writes.RLock()
	defer writes.RUnlock()
	switch {
	case s.erased.has(d.Session, d.Position):
	case d.State == StateDead:
		_, err = s.dead.Put(ctx, d.key(), []byte{'1'}, 0)
	case d.Round > 0:
		err = s.dead.Delete(ctx, d.key())
	}
	if err != nil {
		return fmt.Errorf("updating the list of dead deliveries: %w", err)
	}
	return nil
}

// finalDelivered reports whether the same subscription has had the final event of the
// same session, which is the last one about it.
func (s *Service) finalDelivered(ctx context.Context, d *delivery) (bool, error) {
	last, err := s.events.Last(ctx, d.Session)
	if err != nil || !last.Final {
		return false, err
	}
	final, err := s.deliveryOf(ctx, d.Subscription, last)
	return err == nil && final.State == StateDelivered, err
}
