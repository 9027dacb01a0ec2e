package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"pollbridge/webhook/delivery"
)

// Create makes a subscription; the result has its Secret. Where n cannot be used the
// error joins a *FieldError for each field that is wrong.
func (s *Service) Create(ctx context.Context, n NewSubscription) (Subscription, error) {
	sub := draft(s.store.Now(), Subscription{
		ID: "sub_" + strings.ToLower(rand.Text()), URL: n.URL, Events: n.Events, Endpoints: n.Endpoints,
		Account: s.accountOf(n.Account), Session: n.Session, IncludeFile: n.IncludeFile, Description: n.Description,
		Headers: n.Headers, Signature: n.Signature,
	})
	if n.Disabled {
		sub.DisabledReason, sub.DisabledAt = DisabledByRequest, sub.Created
	}
	if err := s.check.all(sub); err != nil {
		return Subscription{}, err
	}
	if err := s.subs.create(ctx, sub); err != nil {
		return Subscription{}, err
	}
	return sub.withSecret(), nil
}

// Check returns what Create, Update and Attach would say of the fields of v that are not
// empty: a *FieldError for each that cannot be used, joined.
func (s *Service) Check(v Subscription) error {
	if v.URL == "" {
		return s.check.others(draft(s.store.Now(), v))
	}
	return s.check.all(draft(s.store.Now(), v))
}

func (s *Service) accountOf(credential string) string {
	if credential == "" {
		return ""
	}
	return s.AccountID(credential)
}

// AccountID is the id by which events and subscriptions know a credential.
func (s *Service) AccountID(credential string) string { return s.store.ID("acc_", credential) }

// Get returns a subscription, or ErrNotFound.
func (s *Service) Get(ctx context.Context, id string) (Subscription, error) {
	if err := s.subs.current(ctx); err != nil {
		return Subscription{}, err
	}
	sub := s.subs.registry.get(id)
	if sub == nil {
		return Subscription{}, ErrNotFound
	}
	return sub.view(), nil
}

// List returns up to limit subscriptions, the newest first, without bound ones; after
// is the id of the last one of the page before, or empty. next is empty at the end.
func (s *Service) List(ctx context.Context, after string, limit int) (page []Subscription, next string, err error) {
	if err := s.subs.current(ctx); err != nil {
		return nil, "", err
	}
	all := s.subs.registry.list()
	if after != "" {
		last := slices.IndexFunc(all, func(sub *subscription) bool { return sub.ID == after })
		if last < 0 {
			return nil, "", &FieldError{"after", "must be a cursor that the API returned, of a subscription that still exists"}
		}
		all = all[last+1:]
	}
	for _, sub := range all[:min(limit, len(all))] {
		page = append(page, sub.view())
	}
	if len(all) > limit && limit > 0 {
		next = page[len(page)-1].ID
	}
	return page, next, nil
}

// Outcomes returns how sending to subscriptions goes, by id. Those that are attached to one session
// have none: their deliveries tell.
func (s *Service) Outcomes(ctx context.Context, ids []string) (map[string]delivery.Outcomes, error) {
	var receivers []*delivery.Subscription
	for _, id := range ids {
		if sub := s.subs.registry.get(id); sub != nil && !sub.Bound {
			receivers = append(receivers, sub.receiver())
		}
	}
	found, err := s.deliveries.Outcomes(ctx, receivers)
	if err != nil {
		return nil, err
	}
	all := make(map[string]delivery.Outcomes, len(found))
	for i, o := range found {
		all[receivers[i].ID] = o
	}
	return all, nil
}

// Update changes a subscription. Errors are as in Create and Get. One that is bound stays
// with its session, and its receiver with its host.
func (s *Service) Update(ctx context.Context, id string, p SubscriptionPatch) (Subscription, error) {
	sub, err := s.subs.change(ctx, id, func(sub *subscription) error {
		before := *sub
		s.apply(sub, p)
		return cmp.Or(s.check.all(sub), checkBound(&before, sub))
	})
	if err != nil {
		return Subscription{}, err
	}
	if p.Enabled != nil && *p.Enabled {
		s.deliveries.Begins(sub.receiver())
	}
	return sub.view(), nil
}

// checkBound returns a *FieldError if a bound subscription would move: whoever has attached
// it did so for that session and that receiver.
func checkBound(before, after *subscription) error {
	switch {
	case !before.Bound:
	case after.Session != before.Session:
		return &FieldError{"session", "cannot be changed: the subscription was made for its session and ends with it"}
	case origin(after.URL) != origin(before.URL):
		return &FieldError{"url", "must keep its scheme, host and port: the subscription was made for one session; create another one instead"}
	}
	return nil
}

func (s *Service) apply(sub *subscription, p SubscriptionPatch) {
	set(&sub.URL, p.URL)
	set(&sub.Events, p.Events)
	set(&sub.Endpoints, p.Endpoints)
	set(&sub.Session, p.Session)
	set(&sub.IncludeFile, p.IncludeFile)
	set(&sub.Description, p.Description)
	if p.Headers != nil {
		sub.Headers = withValues(*p.Headers, sub.Headers)
	}
	set(&sub.Signature, p.Signature)
	if p.Account != nil {
		sub.Account = s.accountOf(*p.Account)
	}
	switch {
	case p.Enabled == nil:
	case *p.Enabled:
		sub.DisabledReason, sub.DisabledAt = "", time.Time{}
		sub.works()
	case sub.DisabledReason == "":
		sub.DisabledReason, sub.DisabledAt = DisabledByRequest, s.store.Now()
	}
	sub.completeKeys()
}

// withValues returns headers in which a masked value stands for the one that is known:
// people change what they were shown.
func withValues(headers, known map[string]string) map[string]string {
	headers = maps.Clone(headers)
	for name, value := range headers {
		if value != masked {
			continue
		}
		for other, value := range known {
			if strings.EqualFold(name, other) {
				headers[name] = value
			}
		}
	}
	return headers
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// RotateSecret gives a subscription a new secret, which the result has; the old one
// signs too for 24 hours, but no more than eight old keys do.
func (s *Service) RotateSecret(ctx context.Context, id string) (Subscription, error) {
	sub, err := s.subs.change(ctx, id, func(sub *subscription) error {
		sub.rotate(s.store.Now())
		return nil
	})
	if err != nil {
		return Subscription{}, err
	}
	return sub.withSecret(), nil
}
