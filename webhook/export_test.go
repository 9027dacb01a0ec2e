package webhook

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/webhook/send"
)

// The parts that tests replace, because nobody else should.

func (o *Options) SetDialing(resolver *net.Resolver, roots *x509.CertPool) {
	o.resolver, o.roots = resolver, roots
}

func (o *Options) SetTimes(disableAfter, openFor time.Duration) {
	o.disableAfter, o.openFor = disableAfter, openFor
}

// Sweep closes consumers that are idle now.
func (s *Service) Sweep() { s.consumers.closeIdle(0) }

// Consumers is how many there are.
func (s *Service) Consumers() int { return len(s.consumers.list()) }

// BreakersOpen is how many of their receivers are left alone for a moment.
func (s *Service) BreakersOpen() (open int) {
	for _, c := range s.consumers.list() {
		if c.breaker.State() != gobreaker.StateClosed {
			open++
		}
	}
	return open
}

// Bound is how many subscriptions are attached to sessions.
func (s *Service) Bound() int { _, all := s.registry.boundTo(""); return all }

// ComeBack hands out the item of a delivery again, as after a crash before it was done.
func (s *Service) ComeBack(ctx context.Context, id string) error {
	d, err := s.findDelivery(ctx, id)
	if err != nil {
		return err
	}
	value := encoded(work{d.Subscription, d.Session, d.Event, d.Position, d.Round, false})
	consumer := s.registry.get(d.Subscription).consumer
	defer s.consumers.ensure(consumer)
	return s.queue.Add(ctx, consumer, itemName(d.ID, d.Position, d.Round)+"-back", value) // not taken for the same one
}

// Age lets a time pass for what is known of a subscription's failures.
func (s *Service) Age(ctx context.Context, id string, by time.Duration) error {
	_, err := s.change(ctx, id, func(sub *subscription) error {
		for _, at := range []*time.Time{&sub.FailingSince, &sub.FailedLast, &sub.Warned} {
			if !at.IsZero() {
				*at = at.Add(-by)
			}
		}
		return nil
	})
	return err
}

// SetBounds sets how many bytes of documents may be on their way, and how many
// subscriptions can be attached.
func (o *Options) SetBounds(room int64, mostBound int) { o.room, o.mostBound = room, mostBound }

// Receiver is one that a receiverLog tells of.
type Receiver struct{ log receiverLog }

func NewReceiver(log *slog.Logger, now func() time.Time) *Receiver {
	return &Receiver{receiverLog{log: log, now: now, by: map[string]*receiverState{}}}
}

// Answers is an attempt that is answered so.
func (r *Receiver) Answers(status int) {
	a := send.Attempt{Status: status}
	if status != http.StatusNoContent {
		a.Error = send.ErrorStatus
	}
	r.log.attempted(&subscription{Subscription: Subscription{ID: "sub_a", URL: "https://hooks.example/"}, consumer: "sub_a"}, a, false)
}

// Sweep also reports how many receivers are remembered.
func (r *Receiver) Sweep() int {
	r.log.sweep(time.Hour)
	return len(r.log.by)
}

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

// UnderWay is how many attempts are.
func (s *Service) UnderWay() int { return s.consumers.underWay() }

// CaughtUp is how many attached subscriptions are remembered, see Service.Attach.
func (s *Service) CaughtUp() (n int) {
	s.caughtUp.Range(func(any, any) bool { n++; return true })
	return n
}

// Remembered is how many deleted subscriptions are.
func (s *Service) Remembered() int {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	return len(s.registry.gone) + len(s.registry.writers)
}
