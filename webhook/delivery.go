package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/store"
)

// mostAttempts are kept with a delivery; of more, the first ones are forgotten.
const mostAttempts = 32

// delivery is a record of the table of deliveries; its key is made of subscription,
// subject and id. It is written when something has happened to the delivery: until
// then the item of the queue is all there is.
type delivery struct {
	ID       string    `json:"id"`
	Event    string    `json:"event"`
	Type     string    `json:"type"`
	Place    uint64    `json:"place"` // of the event in the journal
	Final    bool      `json:"final,omitempty"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Round    int       `json:"round,omitempty"` // counts the redeliveries
	Tries    int       `json:"tries,omitempty"` // in this round
	Attempts []Attempt `json:"attempts,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	Created  time.Time `json:"created"`

	subscription, subject string // from the key
	revision              uint64 // 0: not stored
	updated               time.Time
}

func (d *delivery) key() string { return d.subscription + "." + d.subject + "." + d.ID }

func (d *delivery) over() bool { return d.State != StateWaiting }

func (s *Service) deliveryID(subscriptionID, eventID string) string {
	return s.store.ID("dlv_", eventID, subscriptionID)
}

func (s *Service) deliveryKey(subscriptionID string, e *event) string {
	return subscriptionID + "." + e.subject + "." + s.deliveryID(subscriptionID, e.ID)
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
	d := &delivery{revision: r.Revision, updated: r.At}
	tokens := splitKey(r.Key)
	if err := json.Unmarshal(r.Value, d); err != nil || len(tokens) != 3 {
		return nil, fmt.Errorf("%w: delivery %s", store.ErrDamaged, r.Key)
	}
	d.subscription, d.subject = tokens[0], tokens[1]
	return d, nil
}

// writeDelivery makes d durable. It fails with store.ErrConflict if somebody else has
// changed it since it was read, and does nothing about an event that was erased.
func (s *Service) writeDelivery(ctx context.Context, d *delivery) error {
	if s.erased.has(d.subject, d.Place) {
		return nil
	}
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("webhook: encoding a delivery: %w", err)
	}
	revision := d.revision
	if revision == 0 {
		d.revision, err = s.deliveries.Create(ctx, d.key(), value, 0)
	} else {
		d.revision, err = s.deliveries.Update(ctx, d.key(), value, revision, 0)
	}
	if errors.Is(err, store.ErrConflict) && s.isBehind(ctx, d) {
		d.revision, err = s.deliveries.Update(ctx, d.key(), value, d.revision, 0)
	}
	if err != nil {
		d.revision = revision
	}
	return err
}

// isBehind reports whether what is stored says less than d: it is about an earlier event
// with the same id, or a redelivery was noted while its attempt was under way already. d
// then has the revision of that.
func (s *Service) isBehind(ctx context.Context, d *delivery) bool {
	stored, err := s.readDelivery(ctx, d.key())
	if err != nil {
		return false
	}
	earlier := stored.Place < d.Place
	if !earlier && (d.Round == 0 || stored.Round != d.Round || stored.Tries >= d.Tries) {
		return false
	}
	d.revision = stored.revision
	return true
}

// work is what an item of the queue says: deliver an event to a subscription.
type work struct {
	Subscription string `json:"s"`
	Subject      string `json:"k"`
	Event        string `json:"e"`
	Place        uint64 `json:"p"`
	Round        int    `json:"r,omitempty"`
	Tried        bool   `json:"t,omitempty"` // it was put away for a retry
}

// itemName tells rounds apart, and the events of a session that was erased from those
// of the same one registered again: the engine does not add the same item again so
// soon, though it was done.
func itemName(id string, place uint64, round int) string {
	if round == 0 {
		return fmt.Sprintf("%s-%d", id, place)
	}
	return fmt.Sprintf("%s-%d-%d", id, place, round)
}

// enqueue makes it durable that an event is to be delivered to a subscription.
func (s *Service) enqueue(ctx context.Context, sub *subscription, e *event, round int) error {
	value, err := json.Marshal(work{sub.ID, e.subject, e.ID, e.place, round, false})
	if err != nil {
		return fmt.Errorf("webhook: encoding an item: %w", err)
	}
	if err := s.queue.Add(ctx, sub.lane, itemName(s.deliveryID(sub.ID, e.ID), e.place, round), value); err != nil {
		return fmt.Errorf("webhook: adding a delivery: %w", err)
	}
	s.lanes.ensure(sub.lane)
	return nil
}

// verdict is what becomes of an item.
type verdict int

const (
	done     verdict = iota // it can go
	again                   // it comes back in a moment: it could not be dealt with
	postpone                // it waits until its lane may be used
	release                 // it goes back to the engine
)

// deliver deals with an item: it makes an attempt, or finds out that there is none to
// make. What came of it is durable when the verdict is done. Each step may be followed
// by a crash: the item comes back then, and the record says what was done.
func (s *Service) deliver(l *lane, item *store.Item) verdict {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.sending), storePatience)
	defer cancel()
	var w work
	if err := json.Unmarshal(item.Value, &w); err != nil {
		s.log.Error("skipping an unreadable item of the delivery queue", "item", item.Name, "error", err)
		return done
	}
	e, d, err := s.read(ctx, item, w)
	if err != nil {
		s.log.Warn("cannot read a delivery, trying again", "subscription", w.Subscription, "error", err)
		return again
	}
	sub := s.registry.get(w.Subscription)
	log := s.log.With("subscription", w.Subscription, "delivery", d.ID)
	switch {
	case w.Place < d.Place:
		return done // the session was erased, and is there again
	case w.Round < d.Round:
		return done // an earlier round, which was over
	case w.Round == d.Round && d.over():
		return s.settle(ctx, log, d) // a crash may have come before that
	case w.Round > d.Round:
		d.Round, d.State, d.Reason, d.Tries, d.Next = w.Round, StateWaiting, "", 0, time.Time{}
	}
	switch {
	case e == nil:
		if d.revision == 0 {
			return done // erased, and nobody knows of it
		}
		return s.conclude(ctx, log, d, StateDead, "the event is no longer stored")
	case sub == nil:
		if d.revision == 0 {
			return done
		}
		return s.conclude(ctx, log, d, StateDead, "the subscription was deleted")
	case sub.Disabled != "":
		return s.conclude(ctx, log, d, StateDead, "the subscription is disabled")
	case time.Until(d.Next) > 10*time.Millisecond:
		return s.later(ctx, log, item, d)
	case d.Tries > 0 && !e.Final && !e.operational():
		switch over, err := s.finalDelivered(ctx, d); {
		case err != nil:
			log.Warn("cannot read a delivery, trying again", "error", err)
			return again
		case over:
			return s.conclude(ctx, log, d, StateSuperseded, "")
		}
	}
	return s.attempt(l, log, item, sub, e, d)
}

// read returns the event of an item, nil if it is not kept any more, and the delivery as
// it is stored, else a new one.
func (s *Service) read(ctx context.Context, item *store.Item, w work) (*event, *delivery, error) {
	if e := s.takeFresh(item, w); e != nil {
		return e, newDelivery(s.deliveryID(w.Subscription, e.ID), w.Subscription, e), nil
	}
	entry, err := s.journal.Get(ctx, w.Place)
	var e *event
	switch {
	case err == nil:
		if e, err = readEvent(entry); err != nil {
			return nil, nil, err
		}
	case !errors.Is(err, store.ErrNotFound):
		return nil, nil, err
	}
	known := e
	if known == nil {
		known = &event{ID: w.Event, subject: w.Subject, place: w.Place}
	}
	d, err := s.deliveryOf(ctx, w.Subscription, known)
	return e, d, err
}

// deliveryOf returns the delivery of an event as it is stored, else a new one. What is
// stored of an earlier event with the same id, which is not kept any more, makes way.
func (s *Service) deliveryOf(ctx context.Context, subscriptionID string, e *event) (*delivery, error) {
	d, err := s.readDelivery(ctx, s.deliveryKey(subscriptionID, e))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil && d.Place >= e.place {
		return d, nil
	}
	fresh := newDelivery(s.deliveryID(subscriptionID, e.ID), subscriptionID, e)
	if d != nil {
		fresh.revision = d.revision
	}
	return fresh, nil
}

// attempt sends the event and notes what came of it.
func (s *Service) attempt(l *lane, log logger, item *store.Item, sub *subscription, e *event, d *delivery) verdict {
	payload, finish, err := s.payloadFor(sub, e)
	if err != nil {
		return postpone // the room for files is taken
	}
	defer finish()
	o, admitted := l.send(s.sending, message{url: sub.URL, id: e.ID, payload: payload, headers: sub.Headers, keys: sub.keys(time.Now())})
	switch {
	case !admitted:
		return postpone
	case s.sending.Err() != nil && !o.Succeeded():
		return release // cut short by us, which says nothing about the receiver
	}
	log.Debug("webhook sent", "host", hostOfURL(sub.URL), "event", e.Type, "status", o.Status, "error", o.Error, "detail", o.Detail, "took", o.Duration)

	// What has happened is noted even while the service closes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.sending), storePatience)
	defer cancel()
	d.Tries++
	d.Attempts = append(d.Attempts, o.Attempt)
	d.Attempts = d.Attempts[max(0, len(d.Attempts)-mostAttempts):]
	d.Next = time.Time{}
	s.tell(l, sub, o)
	if o.Succeeded() {
		return s.succeeded(ctx, log, sub, e, d)
	}
	return s.failed(ctx, log, item, sub, d, o)
}

// tell has the log say what an attempt changes, unless the subscription's end says more.
func (s *Service) tell(l *lane, sub *subscription, o outcome) {
	if now := s.registry.get(sub.ID); now == nil || now.Disabled != "" || o.gone && !sub.Bound {
		return
	}
	s.receivers.attempted(sub, o.Attempt, l.breaker.State() == gobreaker.StateOpen)
}

func (s *Service) succeeded(ctx context.Context, log logger, sub *subscription, e *event, d *delivery) verdict {
	if v := s.conclude(ctx, log, d, StateDelivered, ""); v != done {
		return v
	}
	s.metrics.seconds.Observe(max(0, time.Since(e.At).Seconds()))
	s.worked(ctx, sub.ID)
	if sub.Bound && e.last() {
		s.release(ctx, log, sub, e)
	}
	return done
}

func (s *Service) failed(ctx context.Context, log logger, item *store.Item, sub *subscription, d *delivery, o outcome) verdict {
	if o.gone {
		if err := s.disable(ctx, sub, DisabledGone, d.ID); err != nil {
			log.Warn("cannot disable a subscription whose receiver answered 410, trying again", "error", err)
			return again
		}
		return s.conclude(ctx, log, d, StateDead, "the receiver answered 410: the subscription is disabled")
	}
	s.failedAgain(ctx, log, sub.ID)
	if d.Tries > len(s.cfg.Retries) {
		s.receivers.gaveUp(sub)
		return s.conclude(ctx, log, d, StateDead, "no retries left")
	}
	wait := max(jitter(s.cfg.Retries[d.Tries-1]), o.retryAfter)
	d.Next = o.At.Add(o.Duration + wait)
	if err := s.writeDelivery(ctx, d); err != nil {
		log.Warn("cannot store an attempt, it will be repeated", "error", err)
		return again
	}
	s.metrics.deliveries.WithLabelValues("retried").Inc()
	return s.later(ctx, log, item, d)
}

// later puts an item away until its time.
func (s *Service) later(ctx context.Context, log logger, item *store.Item, d *delivery) verdict {
	value, err := json.Marshal(work{d.subscription, d.subject, d.Event, d.Place, d.Round, true})
	if err != nil {
		log.Error("cannot encode a retry", "error", err)
		return again
	}
	if err := s.queue.AddAt(ctx, item.Lane, item.Name, value, d.Next); err != nil {
		log.Warn("cannot schedule a retry, trying again", "error", err)
		return again
	}
	return done
}

// conclude notes that a delivery is over.
func (s *Service) conclude(ctx context.Context, log logger, d *delivery, state, reason string) verdict {
	d.State, d.Reason, d.Next = state, reason, time.Time{}
	if err := s.writeDelivery(ctx, d); err != nil {
		log.Warn("cannot store the end of a delivery, trying again", "state", state, "error", err)
		return again
	}
	s.metrics.deliveries.WithLabelValues(state).Inc()
	if state == StateDead {
		log.Debug("webhook delivery is dead", "event", d.Type, "reason", reason, "attempts", d.Tries)
	}
	return s.settle(ctx, log, d)
}

// settle keeps the list of dead deliveries true. A delivery that is delivered again
// stays in it until that is over, so that nobody else has to write there.
func (s *Service) settle(ctx context.Context, log logger, d *delivery) verdict {
	var err error
	switch {
	case s.erased.has(d.subject, d.Place):
	case d.State == StateDead:
		_, err = s.dead.Put(ctx, d.key(), []byte{'1'}, 0)
	case d.Round > 0:
		err = s.dead.Delete(ctx, d.key())
	}
	if err != nil {
		log.Warn("cannot update the list of dead deliveries, trying again", "error", err)
		return again
	}
	return done
}

// finalDelivered reports whether the same subscription has had the final event of the
// same session, which is the last one about it.
func (s *Service) finalDelivered(ctx context.Context, d *delivery) (bool, error) {
	last, err := s.lastEvent(ctx, d.subject)
	if err != nil || !last.Final {
		return false, err
	}
	final, err := s.readDelivery(ctx, s.deliveryKey(d.subscription, last))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && final.Place == last.place && final.State == StateDelivered, err
}

// release lets go of a bound subscription that has had its final event. What waits for
// it is superseded, also what was never tried because the final event overtook it. If
// that fails, the subscription's time to live ends it.
func (s *Service) release(ctx context.Context, log logger, sub *subscription, e *event) {
	err := s.supersede(ctx, log, sub, e)
	if err == nil {
		err = s.drop(ctx, sub)
	}
	if err != nil {
		log.Warn("cannot remove the subscription of a finished session, it will expire", "error", err)
	}
}

// supersede ends what waits of the events before e for a subscription.
func (s *Service) supersede(ctx context.Context, log logger, sub *subscription, e *event) error {
	for i, place := range e.Places {
		eventType := e.Seen[len(e.Seen)-1-len(e.Places)+i]
		earlier := &event{
			ID: s.sessionEventID(e.subject, eventType), Type: eventType, Endpoint: e.Endpoint, Account: e.Account,
			subject: e.subject, place: place,
		}
		if !sub.covers(earlier) {
			continue
		}
		d, err := s.deliveryOf(ctx, sub.ID, earlier)
		if err != nil {
			return err
		}
		if d.over() {
			continue
		}
		name := itemName(d.ID, d.Place, d.Round)
		s.fresh.take(name)
		if err := s.queue.Remove(ctx, sub.lane, name); err != nil {
			return err
		}
		s.conclude(ctx, log, d, StateSuperseded, "") // where it is sent right now, its attempt tells more
	}
	return nil
}

func newDelivery(id, subscriptionID string, e *event) *delivery {
	return &delivery{
		ID: id, Event: e.ID, Type: e.Type, Place: e.place, Final: e.Final, State: StateWaiting, Created: time.Now(),
		subscription: subscriptionID, subject: e.subject,
	}
}
