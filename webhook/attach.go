package webhook

import (
	"context"
	"errors"
	"fmt"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// Attach makes a subscription of one session, which ends with it: when the session's
// last event (a final one, session.not_found or session.abandoned) was delivered to it,
// when a final one is not for it and nothing else waits, when the session is erased, and at
// the latest when Options.History is over. The error is ErrFull where there are too many.
// The same session and URL make the same subscription: attached again, it is as it was
// attached the last time, and has no Secret. If the session's last event came before, it is delivered to it too,
// once. A session that was given up may be watched once more: attached again, the
// subscription is there until it ends then.
func (s *Service) Attach(ctx context.Context, subject event.Subject, o AttachOptions) (Subscription, error) {
	if !store.IsID(subject.Session) {
		return Subscription{}, &FieldError{"session", "must be the id of a session, ses_…"}
	}
	sub := draft(s.store.Now(), Subscription{
		ID: s.store.ID("sub_", subject.Session, o.URL), URL: o.URL, Events: o.Events, Session: subject.Session,
		IncludeFile: o.IncludeFile, Headers: o.Headers, Signature: o.Signature, Secret: o.Secret, Bound: true,
	})
	if err := s.check.all(sub); err != nil {
		return Subscription{}, err
	}
	for {
		attached, err := s.attached.attach(ctx, sub.clone(), o.Secret == "")
		if !errors.Is(err, ErrNotFound) || ctx.Err() != nil {
			return attached, err
		}
		// Somebody else's has gone again: the session has ended meanwhile.
	}
}

// HeaderTarget reads the value of a Pollbridge-Webhook header. The error is a
// *TargetError.
func (s *Service) HeaderTarget(value string) (AttachOptions, error) {
	if len(s.cfg.HeaderHosts) == 0 {
		return AttachOptions{}, &TargetError{"not enabled: webhook.header_hosts is empty"}
	}
	u, err := s.deliveries.CheckURL(value)
	if err != nil {
		return AttachOptions{}, &TargetError{err.Error()}
	}
	secret, listed := s.cfg.HeaderHosts[send.Host(u)]
	if !listed {
		return AttachOptions{}, &TargetError{fmt.Sprintf("%s is not one of the hosts in webhook.header_hosts", send.Host(u))}
	}
	return AttachOptions{URL: value, Secret: secret}, nil
}
