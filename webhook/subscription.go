package webhook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
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

// subscription is a record of the table of subscriptions. One that others can see is
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

	consumer string // the name of the one that delivers to it
	revision uint64
}

// draft completes a new subscription.
func draft(v Subscription) *subscription {
	v.Created = time.Now()
	v.Updated = v.Created
	v.Signature, v.Secret = cmp.Or(v.Signature, SignatureV1), cmp.Or(v.Secret, signature.NewSecret())
	sub := (&subscription{Subscription: v}).clone() // the caller keeps what it gave
	sub.completeKeys()
	return sub
}

func (s *Service) readSubscription(r store.Record) (*subscription, error) {
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

const (
	mostDescription = 500
	mostHeaders     = 20
	mostHeaderValue = 4096
)

// check returns a *FieldError for each field that cannot be used, joined.
func (s *Service) check(sub *subscription) error {
	var wrong error
	if _, err := s.sender.CheckURL(sub.URL); err != nil {
		wrong = &FieldError{"url", err.Error()}
	}
	return errors.Join(wrong, s.checkOthers(sub))
}

// checkOthers checks all but the URL.
func (s *Service) checkOthers(sub *subscription) error {
	wrong := errors.Join(oneOf("events", sub.Events, event.Types()), oneOf("endpoints", sub.Endpoints, s.endpoints))
	if sub.Session != "" && (!strings.HasPrefix(sub.Session, "ses_") || !store.IsID(sub.Session)) {
		wrong = errors.Join(wrong, &FieldError{"session", "must be the id of a session, ses_…"})
	}
	if sub.Signature != SignatureV1 && sub.Signature != SignatureV1a {
		wrong = errors.Join(wrong, &FieldError{"signature", "must be v1 or v1a"})
	}
	if !signature.IsSecret(sub.Secret) {
		wrong = errors.Join(wrong, &FieldError{"secret", "must be whsec_ and the base64 of 24 to 64 random bytes (the value is not shown)"})
	}
	if len(sub.Description) > mostDescription {
		wrong = errors.Join(wrong, &FieldError{"description", fmt.Sprintf("must be at most %d bytes", mostDescription)})
	}
	return errors.Join(wrong, checkHeaders(sub.Headers))
}

func oneOf(field string, values, accepted []string) (wrong error) {
	for i, value := range values {
		name := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !slices.Contains(accepted, value):
			wrong = errors.Join(wrong, &FieldError{name, "must be one of " + strings.Join(accepted, ", ")})
		case slices.Contains(values[:i], value):
			wrong = errors.Join(wrong, &FieldError{name, "is given twice"})
		}
	}
	return wrong
}

// What a receiver relies on, and what belongs to the connection, is not for
// subscriptions to set.
var reservedHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "user-agent", "connection", "keep-alive",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
	"upgrade", "expect", "http2-settings", "accept-encoding",
}

func checkHeaders(headers map[string]string) (wrong error) {
	if len(headers) > mostHeaders {
		wrong = &FieldError{"headers", fmt.Sprintf("must be at most %d fields", mostHeaders)}
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		field, problem := "headers."+name, ""
		lower := strings.ToLower(name)
		switch value := headers[name]; {
		case !httpguts.ValidHeaderFieldName(name):
			field, problem = "headers", "has an invalid header name"
		case slices.Contains(reservedHeaders, lower), strings.HasPrefix(lower, "webhook-"):
			problem = "is reserved"
		case seen[lower]:
			problem = "is given twice"
		case value == masked:
			problem = "must be the value: " + masked + " stands for one that is already stored"
		case !httpguts.ValidHeaderFieldValue(value), len(value) > mostHeaderValue:
			problem = fmt.Sprintf("must be visible characters, at most %d bytes (the value is not shown)", mostHeaderValue)
		}
		if problem != "" {
			wrong = errors.Join(wrong, &FieldError{field, problem})
		}
		seen[lower] = true
	}
	return wrong
}
