package api

import (
	"context"
	"net/http"
	"time"
)

const subscriptions = "subscriptions"

// Subscription is a webhook as the API shows it.
type Subscription struct {
	ID             string            `json:"id" example:"sub_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	URL            string            `json:"url"`
	Events         []string          `json:"events" doc:"The events that are sent. Empty: all events of sessions."`
	Endpoints      []string          `json:"endpoints" doc:"Only sessions of these endpoints. Empty: all."`
	Account        string            `json:"account,omitempty" doc:"Only sessions of this account: a keyed hash of its access token."`
	Session        string            `json:"session,omitempty" doc:"Only this session."`
	IncludeFile    bool              `json:"include_file" doc:"Whether the signed document is sent too."`
	Description    string            `json:"description"`
	Headers        map[string]string `json:"headers" doc:"Additional headers that are sent. Their values are masked."`
	Signature      string            `json:"signature" enum:"v1,v1a"`
	PublicKey      string            `json:"public_key,omitempty" doc:"The key that verifies v1a signatures: whpk_…"`
	Enabled        bool              `json:"enabled"`
	DisabledReason string            `json:"disabled_reason,omitempty"`
	DisabledAt     time.Time         `json:"disabled_at,omitzero"`
	FailingSince   time.Time         `json:"failing_since,omitzero" doc:"Since when every attempt has failed. Absent: the last attempt succeeded."`
	OldSecretUntil time.Time         `json:"old_secret_until,omitzero" doc:"Until when the previous secret signs too."`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	Outcomes       *Outcomes         `json:"outcomes,omitempty" doc:"How sending to it goes: where it is fetched or listed. Absent: the store cannot tell at the moment, or it is attached to one session."`
}

// Outcomes is how sending to a subscription goes.
type Outcomes struct {
	Attempts    int       `json:"attempts" doc:"Attempts of the last 24 hours, by all replicas; those of others up to a minute late. A test is none."`
	Succeeded   int       `json:"succeeded" doc:"Those of them that were answered 2xx."`
	Waiting     int       `json:"waiting" doc:"Deliveries that wait now: for their turn, or for a retry."`
	LastError   string    `json:"last_error,omitempty" doc:"What went wrong at the last attempt that failed, as a readable sentence. Absent: none has in the last 24 hours."`
	LastErrorAt time.Time `json:"last_error_at,omitzero" doc:"When that attempt was made."`
}

// SubscriptionWithSecret is shown once, by what made the secret.
type SubscriptionWithSecret struct {
	Subscription
	Secret string `json:"secret" doc:"The secret that signs the deliveries (Standard Webhooks). It is not shown again." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

// NewSubscription is what a subscription is made from. What is left out does not
// restrict anything.
type NewSubscription struct {
	URL         string            `json:"url" minLength:"1" maxLength:"2048" doc:"Where events are sent: an https URL with a public address that the bridge can reach." example:"https://example.com/hooks"`
	Events      []string          `json:"events,omitempty" maxItems:"32" enum:"session.pending,session.succeeded,session.refused,session.expired,session.failed,session.not_found,session.abandoned,subscription.failing,subscription.disabled" doc:"The events to send. Empty: all events of sessions."`
	Endpoints   []string          `json:"endpoints,omitempty" maxItems:"100" doc:"Only sessions of these endpoints, by name. Empty: all."`
	Account     string            `json:"account,omitempty" minLength:"1" maxLength:"4096" doc:"An access token: only its sessions. Stored as a keyed hash."`
	Session     string            `json:"session,omitempty" pattern:"^ses_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a session, ses_…" doc:"Only this session."`
	IncludeFile bool              `json:"include_file,omitempty" doc:"Whether the signed document is sent too. Otherwise GET /v1/sessions/{id}/response has it."`
	Description string            `json:"description,omitempty" maxLength:"500" doc:"A note for people."`
	Headers     map[string]string `json:"headers,omitempty" maxProperties:"20" doc:"Headers to send with every delivery. Their values are not shown again."`
	Signature   string            `json:"signature,omitempty" enum:"v1,v1a" doc:"v1a adds an ed25519 signature, which public_key verifies. Left out: v1."`
	Enabled     *bool             `json:"enabled,omitempty" doc:"Whether events are sent. Left out: they are."`
}

// SubscriptionPatch changes what it names. As in a merge patch, null means what leaving
// the name out at creation does.
type SubscriptionPatch struct {
	URL         *string                     `json:"url,omitempty" minLength:"1" maxLength:"2048"`
	Events      Optional[[]string]          `json:"events,omitzero" maxItems:"32" enum:"session.pending,session.succeeded,session.refused,session.expired,session.failed,session.not_found,session.abandoned,subscription.failing,subscription.disabled" doc:"The events to send. Empty or null: all events of sessions."`
	Endpoints   Optional[[]string]          `json:"endpoints,omitzero" maxItems:"100" doc:"Only sessions of these endpoints. Empty or null: all."`
	Account     Optional[string]            `json:"account,omitzero" minLength:"1" maxLength:"4096" doc:"An access token: only its sessions. Null: all accounts."`
	Session     Optional[string]            `json:"session,omitzero" minLength:"1" maxLength:"128" doc:"Only this session. Null: all."`
	IncludeFile Optional[bool]              `json:"include_file,omitzero"`
	Description Optional[string]            `json:"description,omitzero" maxLength:"500"`
	Headers     Optional[map[string]string] `json:"headers,omitzero" maxProperties:"20" doc:"Replaces all headers. Null: none."`
	Signature   Optional[string]            `json:"signature,omitzero" enum:"v1,v1a" doc:"Null: v1."`
	Enabled     *bool                       `json:"enabled,omitempty" doc:"False: nothing is sent until it is true again; recover then sends what was missed."`
}

// Recover says which events are to be delivered again.
type Recover struct {
	Since        time.Time `json:"since" doc:"Events since this time. They are stored for 7 days (store.history)." example:"2026-11-23T08:15:30Z"`
	ContinueFrom string    `json:"continue_from,omitempty" maxLength:"512" doc:"Where to continue: the continue_from of the previous answer."`
}

// Recovered is what recovering has begun.
type Recovered struct {
	Redelivered  int    `json:"redelivered" doc:"The number of deliveries that this call has begun again."`
	ContinueFrom string `json:"continue_from,omitempty" doc:"There may be more: call again with this. Left out: that was all."`
}

// CreateSubscription makes a subscription.
func (c *Client) CreateSubscription(ctx context.Context, n NewSubscription) (SubscriptionWithSecret, error) {
	return send[SubscriptionWithSecret](ctx, c, http.MethodPost, n, subscriptions)
}

// Subscriptions lists subscriptions, newest first.
func (c *Client) Subscriptions(ctx context.Context, p Page) (List[Subscription], error) {
	return get[List[Subscription]](ctx, c, p.query(), subscriptions)
}

// Subscription returns a subscription.
func (c *Client) Subscription(ctx context.Context, id string) (Subscription, error) {
	return get[Subscription](ctx, c, nil, subscriptions, id)
}

// UpdateSubscription changes a subscription.
func (c *Client) UpdateSubscription(ctx context.Context, id string, p SubscriptionPatch) (Subscription, error) {
	return send[Subscription](ctx, c, http.MethodPatch, p, subscriptions, id)
}

// DeleteSubscription removes a subscription. What still waits for it is dead.
func (c *Client) DeleteSubscription(ctx context.Context, id string) error {
	return c.remove(ctx, subscriptions, id)
}

// RotateSecret gives a subscription a new secret; for 24 hours the old one signs too.
func (c *Client) RotateSecret(ctx context.Context, id string) (SubscriptionWithSecret, error) {
	return send[SubscriptionWithSecret](ctx, c, http.MethodPost, nil, subscriptions, id, "rotate-secret")
}

// TestSubscription sends webhook.test, and returns the attempt even if that failed.
func (c *Client) TestSubscription(ctx context.Context, id string) (Attempt, error) {
	return send[Attempt](ctx, c, http.MethodPost, nil, subscriptions, id, "test")
}

// RecoverSubscription delivers again what is dead, or came while the subscription was
// disabled. Where there is more than one call has time for, the answer has ContinueFrom, to
// call it again with.
func (c *Client) RecoverSubscription(ctx context.Context, id string, r Recover) (Recovered, error) {
	return send[Recovered](ctx, c, http.MethodPost, r, subscriptions, id, "recover")
}
