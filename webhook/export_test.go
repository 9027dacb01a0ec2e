package webhook

import (
	"context"
	"crypto/x509"
	"net"
	"time"

	"pollbridge/event"
)

// The parts that tests replace, because nobody else should.

func (o *Options) SetDialing(resolver *net.Resolver, roots *x509.CertPool) {
	o.resolver, o.roots = resolver, roots
}

func (o *Options) SetTimes(disableAfter, openFor time.Duration) {
	o.disableAfter, o.openFor = disableAfter, openFor
}

// SetIdle sets after which time a consumer without work is closed.
func (o *Options) SetIdle(idle time.Duration) { o.idle = idle }

// SetRecovering sets how long one call of Recover may take.
func (o *Options) SetRecovering(most time.Duration) { o.recovering = most }

// Bound is how many subscriptions are attached to sessions.
func (s *Service) Bound() int { _, all := s.subs.registry.boundTo(""); return all }

// MarkDeleted is all that Delete does when the process is killed after its first write.
func (s *Service) MarkDeleted(ctx context.Context, id string) error {
	_, err := s.markDeleted(ctx, id)
	return err
}

// EndDeleted ends what is left of a deleted subscription, as it was looked for before meanwhile.
func (s *Service) EndDeleted(ctx context.Context, id string, meanwhile func()) error {
	for _, sub := range s.subs.registry.deleted() {
		if sub.ID != id {
			continue
		}
		sub, err := s.ended(ctx, sub)
		if err != nil {
			return err
		}
		meanwhile()
		return s.endDeleted(ctx, sub)
	}
	return ErrNotFound
}

// HasHad is told that a subscription has had the last event of a session.
func (s *Service) HasHad(ctx context.Context, id, sessionID string) error {
	last, err := s.events.Last(ctx, sessionID)
	if err == nil {
		receivers{s}.Delivered(ctx, id, last)
	}
	return err
}

// HasDeleted reports whether a deleted subscription leaves something.
func (s *Service) HasDeleted() bool { return len(s.subs.registry.deleted()) > 0 }

// LetGo deletes an attached subscription if over says so, which is told at which end of its
// session it stayed.
func (s *Service) LetGo(ctx context.Context, id string, over func(heard uint64) bool) error {
	return s.attached.letGo(ctx, s.subs.registry.get(id), func(sub *subscription) (bool, error) { return over(sub.Heard), nil })
}

// FansOut is told that an event is about to be handed out.
func (s *Service) FansOut(ctx context.Context, e *event.Event) error {
	return receivers{s}.FansOut(ctx, e)
}

// Age lets a time pass for what is known of a subscription's failures.
func (s *Service) Age(ctx context.Context, id string, by time.Duration) error {
	_, err := s.subs.change(ctx, id, func(sub *subscription) error {
		for _, at := range []*time.Time{&sub.FailingSince, &sub.FailedLast, &sub.Warned} {
			if !at.IsZero() {
				*at = at.Add(-by)
			}
		}
		return nil
	})
	return err
}

// CaughtUp is what is remembered of subscriptions that were caught up.
type CaughtUp struct{ c *caughtUp }

func NewCaughtUp(now func() time.Time) CaughtUp { return CaughtUp{newCaughtUp(now)} }

func (c CaughtUp) Begin(sessionID, id string) (done func()) { return c.c.begin(sessionID, id) }
func (c CaughtUp) Has(sessionID, id string) bool            { return c.c.has(sessionID, id) }
func (c CaughtUp) Forget(sessionID string)                  { c.c.forget(sessionID) }

// Known is how many there are.
func (c CaughtUp) Known() int { return c.c.count }

// SetBounds sets how many bytes of documents may be on their way, and how many
// subscriptions can be attached.
func (o *Options) SetBounds(room int64, mostBound int) { o.room, o.mostBound = room, mostBound }

// Registry is what memory knows of subscriptions.
type Registry struct{ r *registry }

func NewRegistry() Registry { return Registry{newRegistry()} }

// Puts is told of a form of a subscription, and Removes that it was deleted, as whoever
// wrote that tells, or who watches.
func (r Registry) Puts(id string, revision uint64) {
	r.r.put(&subscription{Subscription: Subscription{ID: id}, revision: revision})
}
func (r Registry) Removes(id string, revision uint64, watched bool) {
	r.r.remove(id, revision, watched)
}

// Writes is a write that has begun; it is over when what it returns is called.
func (r Registry) Writes(id string) func() { return r.r.writing(id) }

// Known is how many there are, and how many ids are remembered of those that are not.
func (r Registry) Known() (all, gone int) { return len(r.r.all), len(r.r.gone) + len(r.r.writers) }

// Remembered is how many deleted subscriptions are.
func (s *Service) Remembered() int {
	s.subs.registry.mu.RLock()
	defer s.subs.registry.mu.RUnlock()
	return len(s.subs.registry.gone) + len(s.subs.registry.writers)
}
