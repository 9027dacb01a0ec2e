package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/tracing"
	"pollbridge/webhook/send"
)

// worker deals with jobs, one step after the other. It has no state of its own.
type worker struct{ s *Service }

// deliver deals with a job: it makes an attempt, or finds out that there is none to
// make. What came of it is durable when it returns nil; after an error the job has to
// be dealt with again. Each step may be followed by a crash: it comes back then, and the
// record says what was done. Where an attempt was made and could not be recorded, that is
// all that is tried again. free is called when the receiver is not needed any more.
func (w worker) deliver(c *consumer, j *job, free func()) error {
	if j.work.Event == "" {
		w.s.log.Error("skipping an unreadable item of the delivery queue", "item", j.name)
		return nil
	}
	const often = 10 // nobody is that unlucky
	for range often {
		err := w.step(c, j, free)
		switch {
		case errors.Is(err, errErased):
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		j.look = true // somebody else has written of it: what that says counts
	}
	return errNotNow
}

// step finds out what is to be done of a job, and does it.
func (w worker) step(c *consumer, j *job, free func()) error {
	over, err := w.turnFor(j)
	if err != nil {
		return err
	}
	defer over()
	ctx, cancel := storeContext()
	defer cancel()
	if err := w.read(ctx, c, j); err != nil {
		return err
	}
	task := j.work
	e, d := j.event, w.s.records.begun(task)
	if j.look {
		if d, err = w.s.records.of(ctx, task); err != nil {
			return err
		}
		w.countLate(j, d)
	}
	sub, err := w.s.subscription(ctx, task.Subscription)
	if err != nil {
		return err
	}
	switch {
	case task.Position < d.Position, task.Round < d.Round:
		return nil // the session was erased and is there again, or an earlier round, which was over
	case task.Round == d.Round && d.over() && j.arrivedAfterAll(d):
		return w.note(ctx, c, j, d)
	case task.Round == d.Round && d.EndedWithSubscription() && sub != nil: // it was attached again, and this is for that
		d.WasDead = true
		d.begin(task.Round)
	case task.Round == d.Round && d.over():
		return w.endAgain(ctx, sub, e, d)
	case task.Round > d.Round:
		d.begin(task.Round)
	}
	switch {
	case e == nil && w.s.records.forgets(d):
		return w.s.conclude(ctx, d, Dead, reasonForgotten)
	case e == nil:
		return errErased
	case j.sent != nil && !d.has(j.sent.Attempt):
		return w.note(ctx, c, j, d)
	case w.s.records.forgets(d): // it has waited for so long, and what it said of its attempts may be gone
		return w.s.conclude(ctx, d, Dead, reasonForgotten)
	case sub == nil:
		return w.s.conclude(ctx, d, Dead, reasonDeleted)
	case sub.Disabled:
		return w.s.conclude(ctx, d, Dead, reasonDisabled)
	case d.Next.Sub(w.s.store.Now()) > 10*time.Millisecond:
		return w.s.later(ctx, c, j, d)
	case w.mayBeOvertaken(task, e, d):
		delivered, err := w.finalDelivered(ctx, d)
		if err != nil {
			return err
		}
		if delivered {
			return w.s.conclude(ctx, d, Superseded, "")
		}
	}
	over()
	return w.attempt(c, j, sub, d, free)
}

// mayBeOvertaken reports whether the final event may have been delivered, which ends what comes before
// it: before a retry, and where the first attempt comes late. That may be after a crash, and before it
// there was one already. Whoever asks for a delivery knows what came after it, and gets its first attempt.
func (w worker) mayBeOvertaken(task work, e *event.Event, d *delivery) bool {
	switch {
	case e.Final, e.Operational():
		return false
	case d.Tries > 0:
		return true
	case task.Asked:
		return false
	}
	return d.Round == 0 && d.Consumer != "" || w.s.store.Now().Sub(e.Recorded) > late
}

// read reads the event of a job, unless memory has it. There is none where it was erased, or
// is not kept any more.
func (w worker) read(ctx context.Context, c *consumer, j *job) error {
	if j.sent != nil {
		return nil // what came of it is recorded in any case, or taken back after that
	}
	e, ok := w.s.events.Recent(j.work.Subject, j.work.Position)
	if !ok {
		var err error
		if e, err = w.s.events.Get(ctx, j.work.Position); errors.Is(err, store.ErrNotFound) {
			e, err = nil, nil
		}
		if err != nil {
			return err
		}
	}
	j.event = e
	if e != nil {
		c.complete(j, e)
	}
	return nil
}

func storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), storeTimeout)
}

// attempt sends the event and notes what came of it, even while the service closes.
func (w worker) attempt(c *consumer, j *job, sub *Subscription, d *delivery, free func()) error {
	e := j.event
	payload, finish, err := w.s.files.payload(sub, e)
	if err != nil {
		return err
	}
	defer finish()
	if w.s.store.Err() != nil {
		return errNotNow // since this was begun
	}
	m := w.s.messageTo(sub, e.ID, payload)
	m.Trace = tracing.Delivery{From: e.Span, Type: e.Type, Subscription: sub.ID, Delivery: d.ID, Tries: d.Tries}
	o, err := c.send(w.s.sending, m)
	if err != nil {
		return err
	}
	free()
	w.s.log.Debug("webhook sent", "subscription", sub.ID, "delivery", d.ID, "host", send.HostOf(sub.URL), "event", e.Type,
		"status", o.Status, "error", o.Error, "detail", o.Detail, "took", o.Duration)
	w.tell(c, sub, o)
	o.At = o.At.Add(w.s.store.Ahead())
	if !sub.SharesConsumer {
		w.s.outcomes.add(sub.ID, o.Attempt)
	}
	j.sent = &sent{Outcome: o, sub: sub}

	if !o.Succeeded() {
		over, err := w.turn(w.s.sending)
		if err != nil {
			return err
		}
		defer over()
	}
	ctx, cancel := storeContext()
	defer cancel()
	return w.note(ctx, c, j, d)
}

// has reports whether an attempt is recorded.
func (d *delivery) has(a send.Attempt) bool {
	return slices.ContainsFunc(d.Attempts, func(known send.Attempt) bool { return known.At.Equal(a.At) })
}

// arrivedAfterAll reports whether the attempt of a job succeeded, though the delivery was
// ended while that was under way, as its subscription was deleted or it was overtaken.
func (j *job) arrivedAfterAll(d *delivery) bool {
	return d.State != Delivered && j.sent != nil && j.sent.Succeeded() && !d.has(j.sent.Attempt)
}

// countLate counts an attempt whose record was written after nobody waited for that any more.
func (w worker) countLate(j *job, d *delivery) {
	if j.sent == nil || j.sent.counted || !d.has(j.sent.Attempt) {
		return
	}
	j.sent.counted = true
	result := d.State
	if !d.over() {
		result = retried
	}
	w.s.metrics.deliveries.WithLabelValues(result).Inc()
}

// note records the attempt that was made of a job.
func (w worker) note(ctx context.Context, c *consumer, j *job, d *delivery) error {
	before := d.revision
	defer func() { j.sent.counted = j.sent.counted || d.revision != before }()
	d.Tries++
	d.Attempts = append(d.Attempts, j.sent.Attempt)
	d.Attempts = d.Attempts[max(0, len(d.Attempts)-mostAttempts):]
	d.Next = time.Time{}
	if j.sent.Succeeded() {
		return w.succeeded(ctx, j, d)
	}
	return w.failed(ctx, c, j, d)
}

// tell has the log say what an attempt changes, unless the subscription's end says more.
func (w worker) tell(c *consumer, sub *Subscription, o send.Outcome) {
	if now := w.s.subscriptions.Subscription(sub.ID); now == nil || now.Disabled || o.Gone && !sub.SharesConsumer {
		return
	}
	w.s.receivers.attempted(sub, o.Attempt, c.breaker.State() == gobreaker.StateOpen)
}

func (w worker) succeeded(ctx context.Context, j *job, d *delivery) error {
	if err := w.s.conclude(store.Unhurried(ctx), d, Delivered, ""); err != nil {
		return err
	}
	tracing.Observe(w.s.metrics.seconds, max(0, time.Since(j.event.At).Seconds()), j.sent.Span)
	w.s.subscriptions.Delivered(ctx, j.sent.sub.ID, j.event)
	return nil
}

// endAgain does what follows the end of a delivery: a crash may have come before that.
func (w worker) endAgain(ctx context.Context, sub *Subscription, e *event.Event, d *delivery) error {
	if err := w.s.records.reconcile(ctx, d); err != nil {
		return err
	}
	if sub != nil && e != nil && d.State == Delivered {
		w.s.subscriptions.Delivered(ctx, sub.ID, e)
	}
	return nil
}

func (w worker) failed(ctx context.Context, c *consumer, j *job, d *delivery) error {
	sub, o := j.sent.sub, j.sent.Outcome
	if o.Gone {
		if err := w.s.subscriptions.Gone(ctx, sub.ID, d.ID); err != nil {
			return fmt.Errorf("disabling a subscription whose receiver answered 410: %w", err)
		}
		return w.s.conclude(ctx, d, Dead, reasonGone)
	}
	if d.Tries > len(w.s.cfg.Retries) {
		if err := w.s.conclude(ctx, d, Dead, reasonNoRetries); err != nil {
			return err
		}
		w.s.subscriptions.Failed(ctx, sub.ID)
		w.s.receivers.gaveUp(sub)
		return nil
	}
	now, err := w.s.subscription(ctx, sub.ID)
	if err != nil {
		return err
	}
	if now == nil {
		return w.s.conclude(ctx, d, Dead, reasonDeleted)
	}
	wait := max(jitter(w.s.cfg.Retries[d.Tries-1]), o.RetryAfter)
	if !d.Recorded.IsZero() && wait >= w.s.records.left(d.Recorded) {
		return w.s.conclude(ctx, d, Dead, reasonTooLate)
	}
	d.Next, d.Consumer = o.At.Add(o.Duration+wait), c.name
	if err := w.s.records.write(ctx, d); err != nil {
		return fmt.Errorf("storing an attempt: %w", err)
	}
	w.s.metrics.deliveries.WithLabelValues(retried).Inc()
	w.s.subscriptions.Failed(ctx, sub.ID)
	if err := w.s.records.reconcile(ctx, d); err != nil {
		return err
	}
	return w.s.later(ctx, c, j, d)
}

// finalDelivered reports whether the same subscription has had the final event of the
// same session, which is the last one about it.
func (w worker) finalDelivered(ctx context.Context, d *delivery) (bool, error) {
	last, err := w.s.events.Last(ctx, d.Session)
	if err != nil || !last.Final {
		return false, err
	}
	final, err := w.s.records.of(ctx, workOf(d.Subscription, last, 0))
	return err == nil && final.State == Delivered, err
}
