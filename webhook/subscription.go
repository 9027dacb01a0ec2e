package webhook

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/signature"
)

// overlap is how long a rotated secret signs besides the new one.
const overlap = 24 * time.Hour

// mostOldKeys bounds the signatures of a delivery. Whoever rotates more often than that
// in a day gives the first ones up.
const mostOldKeys = 8

// oldKey is a key that was rotated and signs too for a while.
type oldKey struct {
	Key   string    `json:"key"`
	Until time.Time `json:"until"`
}

// subscription is a record of the bucket of subscriptions. One that others can see is
// never changed: changes are made to a copy.
type subscription struct {
	Subscription
	FailedLast time.Time `json:"failed_last,omitzero"` // about when there was an attempt that failed, besides FailingSince
	Warned     time.Time `json:"warned,omitzero"`      // when subscription.failing was recorded
	Private    string    `json:"private,omitempty"`    // whsk_…, where Signature is v1a
	Old        []oldKey  `json:"old_keys,omitempty"`   // the latest first
	// From is where in the journal the last event of a bound one's session was when it was
	// made: those before are not for it. Heard is where the session had been given up when it
	// was attached, for the last time: it ends with what comes after that.
	From  uint64 `json:"from,omitzero"`
	Heard uint64 `json:"heard,omitzero"`

	// Ended says that it was deleted, and is there only until what it leaves has come to an end:
	// events before that position of the journal are still for it, and dead. 0: it was not.
	Ended uint64 `json:"ended,omitzero"`

	consumer string // the name of the one that delivers to it
	revision uint64
}

// draft completes a new subscription.
func draft(now time.Time, v Subscription) *subscription {
	v.Created = now
	v.Updated = v.Created
	v.Signature, v.Secret = cmp.Or(v.Signature, SignatureV1), cmp.Or(v.Secret, signature.NewSecret())
	sub := (&subscription{Subscription: v}).clone() // the caller keeps what it gave
	sub.completeKeys()
	return sub
}

func (s *subscriptions) read(r store.Record) (*subscription, error) {
	sub := &subscription{revision: r.Revision}
	if err := json.Unmarshal(r.Value, sub); err != nil || sub.ID != r.Key {
		return nil, fmt.Errorf("%w: subscription %s", store.ErrDamaged, r.Key)
	}
	sub.consumer = s.consumerOf(sub)
	return sub, nil
}

func (sub *subscription) clone() *subscription {
	c := *sub
	c.Events, c.Endpoints = slices.Clone(sub.Events), slices.Clone(sub.Endpoints)
	c.Old = slices.Clone(sub.Old)
	c.Headers = maps.Clone(sub.Headers)
	return &c
}

// keys are what signs for the subscription at a time.
func (sub *subscription) keys(now time.Time) []string {
	keys := []string{sub.Secret}
	if sub.Signature == SignatureV1a {
		keys = append(keys, sub.Private)
	}
	for _, old := range sub.Old {
		if now.Before(old.Until) {
			keys = append(keys, old.Key)
		}
	}
	return keys
}

// rotate gives sub new keys. Those of rotations before go on for as long as they were
// to: the caller of the last one may never have had its answer, and no receiver its key.
func (sub *subscription) rotate(now time.Time) {
	old := []oldKey{{sub.Secret, now.Add(overlap)}}
	if sub.Signature == SignatureV1a {
		old = append(old, oldKey{sub.Private, now.Add(overlap)})
	}
	for _, before := range sub.Old {
		if now.Before(before.Until) && len(old) < mostOldKeys {
			old = append(old, before)
		}
	}
	sub.Old = old
	sub.Secret, sub.Private = signature.NewSecret(), ""
	sub.completeKeys()
}

func (sub *subscription) completeKeys() {
	if sub.Signature == SignatureV1a && sub.Private == "" {
		sub.Private, _ = signature.NewKeyPair()
	}
}

// covers reports whether events such as e go to the subscription, if it is enabled.
func (sub *subscription) covers(e *event.Event) bool {
	if e.Operational() {
		return e.Key != sub.ID && !sub.Bound && slices.Contains(sub.Events, e.Type)
	}
	return sub.coversSubject(e.About()) &&
		(len(sub.Events) == 0 || slices.Contains(sub.Events, e.Type))
}

func (sub *subscription) coversSubject(s event.Subject) bool {
	return (sub.Session == "" || sub.Session == s.Session) &&
		(sub.Account == "" || sub.Account == s.Account) &&
		(len(sub.Endpoints) == 0 || slices.Contains(sub.Endpoints, s.Endpoint))
}

// coversMoreThan reports whether it may cover sessions that the form of it before, if there was
// one, has not covered. Whoever binds one to a session has that watched.
func (sub *subscription) coversMoreThan(before *subscription) bool {
	switch {
	case sub.Bound || !sub.listens():
		return false
	case before == nil || !before.listens():
		return true
	}
	return sub.Session != before.Session || sub.Account != before.Account || !slices.Equal(sub.Endpoints, before.Endpoints)
}

// listens reports whether the subscription wants events of sessions at all.
func (sub *subscription) listens() bool {
	return len(sub.Events) == 0 || slices.ContainsFunc(sub.Events, func(t string) bool { return event.IsOfSession(t) })
}

const masked = "***"

// view is what people may see of it.
func (sub *subscription) view() Subscription {
	v := sub.clone().Subscription
	v.Secret, v.Enabled = "", sub.DisabledReason == ""
	for name := range v.Headers {
		v.Headers[name] = masked
	}
	if sub.Signature == SignatureV1a {
		v.PublicKey, _ = signature.PublicKey(sub.Private)
	}
	if len(sub.Old) > 0 && time.Now().Before(sub.Old[0].Until) {
		v.OldSecretUntil = sub.Old[0].Until
	}
	return v
}

func (sub *subscription) withSecret() Subscription {
	v := sub.view()
	v.Secret = sub.Secret
	return v
}
