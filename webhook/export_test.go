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
