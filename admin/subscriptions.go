package admin

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"

	"pollbridge/webhook"
	"pollbridge/webhook/send"
)

// Subscriptions keeps webhooks: a [*webhook.Service]. What it returned without an error
// is durable.
type Subscriptions interface {
	Create(context.Context, webhook.NewSubscription) (webhook.Subscription, error)
	Get(ctx context.Context, id string) (webhook.Subscription, error)
	List(ctx context.Context, after string, limit int) (page []webhook.Subscription, next string, err error)
	Update(ctx context.Context, id string, p webhook.SubscriptionPatch) (webhook.Subscription, error)
	Delete(ctx context.Context, id string) error
	RotateSecret(ctx context.Context, id string) (webhook.Subscription, error)
	Test(ctx context.Context, id string) (send.Attempt, error)
	Recover(ctx context.Context, id string, since time.Time) (count int, err error)
	Attach(ctx context.Context, subject webhook.Subject, o webhook.AttachOptions) (webhook.Subscription, error)
}

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
}

func shownSubscription(s webhook.Subscription) Subscription {
	return Subscription{
		ID: s.ID, URL: s.URL, Events: s.Events, Endpoints: s.Endpoints, Account: s.Account, Session: s.Session,
		IncludeFile: s.IncludeFile, Description: s.Description, Headers: s.Headers, Signature: s.Signature, PublicKey: s.PublicKey,
		Enabled: s.Enabled, DisabledReason: s.DisabledReason, DisabledAt: s.DisabledAt, FailingSince: s.FailingSince,
		OldSecretUntil: s.OldSecretUntil, CreatedAt: s.Created, UpdatedAt: s.Updated,
	}
}

// newSubscription is what a subscription is made from. What is left out does not
// restrict anything.
type newSubscription struct {
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

func (n newSubscription) wanted() webhook.NewSubscription {
	return webhook.NewSubscription{
		URL: n.URL, Events: n.Events, Endpoints: n.Endpoints, Account: n.Account, Session: n.Session,
		IncludeFile: n.IncludeFile, Description: n.Description, Headers: n.Headers, Signature: n.Signature, Disabled: n.Enabled != nil && !*n.Enabled,
	}
}

// changeBody is the body of PATCH. As in a merge patch, null means what leaving the
// name out at creation does.
type changeBody struct {
	URL         *string                     `json:"url,omitempty" minLength:"1" maxLength:"2048"`
	Events      optional[[]string]          `json:"events,omitzero" maxItems:"32" enum:"session.pending,session.succeeded,session.refused,session.expired,session.failed,session.not_found,session.abandoned,subscription.failing,subscription.disabled" doc:"The events to send. Empty or null: all events of sessions."`
	Endpoints   optional[[]string]          `json:"endpoints,omitzero" maxItems:"100" doc:"Only sessions of these endpoints. Empty or null: all."`
	Account     optional[string]            `json:"account,omitzero" minLength:"1" maxLength:"4096" doc:"An access token: only its sessions. Null: all accounts."`
	Session     optional[string]            `json:"session,omitzero" minLength:"1" maxLength:"128" doc:"Only this session. Null: all."`
	IncludeFile optional[bool]              `json:"include_file,omitzero"`
	Description optional[string]            `json:"description,omitzero" maxLength:"500"`
	Headers     optional[map[string]string] `json:"headers,omitzero" maxProperties:"20" doc:"Replaces all headers. Null: none."`
	Signature   optional[string]            `json:"signature,omitzero" enum:"v1,v1a" doc:"Null: v1."`
	Enabled     *bool                       `json:"enabled,omitempty" doc:"False: nothing is sent until it is true again; recover then sends what was missed."`
}

func (b changeBody) patch() webhook.SubscriptionPatch {
	p := webhook.SubscriptionPatch{
		URL: b.URL, Events: b.Events.value, Endpoints: b.Endpoints.value, Account: b.Account.value, Session: b.Session.value,
		IncludeFile: b.IncludeFile.value, Description: b.Description.value, Headers: b.Headers.value,
		Signature: b.Signature.value, Enabled: b.Enabled,
	}
	if p.Signature != nil && *p.Signature == "" {
		p.Signature = new(webhook.SignatureV1)
	}
	return p
}

// optional is a field of a change: it tells a name that was left out, and is nil, from one
// that is null, which sets the zero value.
type optional[T any] struct{ value *T }

// UnmarshalJSON reads a value, or null. It is called only for names that are there.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.value = new(T)
	return jsonv2.Unmarshal(text, o.value, jsonv2.RejectUnknownMembers(true))
}

// Schema is that of the value, or null.
func (o optional[T]) Schema(r huma.Registry) *huma.Schema {
	schema := r.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return schema
}

// SubscriptionPath is the path of a subscription. Huma sees exported types only.
type SubscriptionPath struct {
	ID string `path:"id" pattern:"^sub_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a subscription, sub_…"`
}

// subscriptionWithSecret is shown once.
type subscriptionWithSecret struct {
	Subscription
	Secret string `json:"secret" doc:"The secret that signs the deliveries (Standard Webhooks). It is not shown again." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

func withSecret(s webhook.Subscription) subscriptionWithSecret {
	return subscriptionWithSecret{shownSubscription(s), s.Secret}
}

type created[T any] struct {
	Location string `header:"Location" doc:"The path of what was created."`
	Body     T
}

type answered[T any] struct{ Body T }

func (m *management) registerSubscriptions(api huma.API) {
	route(m, api, operation(http.MethodPost, "/v1/subscriptions", "create-subscription", tagSubscriptions, "Create a subscription",
		"From now on events are sent to its URL, signed with the secret that only this answer shows.", http.StatusCreated, 413, 415, 409),
		"body", func(ctx context.Context, in *answered[newSubscription]) (*created[subscriptionWithSecret], error) {
			s, err := m.Subscriptions.Create(ctx, in.Body.wanted())
			if err != nil {
				return nil, err
			}
			return &created[subscriptionWithSecret]{"/v1/subscriptions/" + s.ID, withSecret(s)}, nil
		})
	route(m, api, operation(http.MethodGet, "/v1/subscriptions", "list-subscriptions", tagSubscriptions, "List subscriptions", "", http.StatusOK),
		inList, func(ctx context.Context, in *PageParams) (*answered[list[Subscription]], error) {
			after, err := in.after(ofSubscriptions)
			if err != nil {
				return nil, err
			}
			found, next, err := m.Subscriptions.List(ctx, after, in.Limit)
			return &answered[list[Subscription]]{listOf(found, shownSubscription, ofSubscriptions, next)}, err
		})
	route(m, api, operation(http.MethodGet, "/v1/subscriptions/{id}", "get-subscription", tagSubscriptions, "Get a subscription", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SubscriptionPath) (*answered[Subscription], error) {
			s, err := m.Subscriptions.Get(ctx, in.ID)
			return &answered[Subscription]{shownSubscription(s)}, err
		})
	type changeInput struct {
		SubscriptionPath
		Body changeBody
	}
	route(m, api, operation(http.MethodPatch, "/v1/subscriptions/{id}", "update-subscription", tagSubscriptions, "Change a subscription",
		"Fields that are left out stay as they are; null means what leaving the field out at creation means.", http.StatusOK, 404, 409, 413, 415),
		"body", func(ctx context.Context, in *changeInput) (*answered[Subscription], error) {
			s, err := m.Subscriptions.Update(ctx, in.ID, in.Body.patch())
			return &answered[Subscription]{shownSubscription(s)}, err
		})
	route(m, api, operation(http.MethodDelete, "/v1/subscriptions/{id}", "delete-subscription", tagSubscriptions, "Delete a subscription",
		"Deliveries that are still waiting are dropped.", http.StatusNoContent, 404),
		"path", func(ctx context.Context, in *SubscriptionPath) (*struct{}, error) {
			return nil, m.Subscriptions.Delete(ctx, in.ID)
		})
	m.registerSubscriptionActions(api)
}

func (m *management) registerSubscriptionActions(api huma.API) {
	type action struct {
		SubscriptionPath
		Body *noBody
	}
	route(m, api, operation(http.MethodPost, "/v1/subscriptions/{id}/rotate-secret", "rotate-secret", tagSubscriptions, "Rotate the secret",
		"Only this answer shows the new secret. For 24 hours deliveries are signed with the old one too.", http.StatusOK, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[subscriptionWithSecret], error) {
			s, err := m.Subscriptions.RotateSecret(ctx, in.ID)
			return &answered[subscriptionWithSecret]{withSecret(s)}, err
		})
	route(m, api, operation(http.MethodPost, "/v1/subscriptions/{id}/test", "test-subscription", tagSubscriptions, "Send webhook.test",
		"Makes one attempt now and answers 200 with its outcome, even if it failed. "+
			"The body is a WebhookTest, which reveals receivers that verify JSON which they decoded and encoded again.", http.StatusOK, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[Attempt], error) {
			attempt, err := m.Subscriptions.Test(ctx, in.ID)
			return &answered[Attempt]{shownAttempt(attempt)}, err
		})
	type recoverInput struct {
		SubscriptionPath
		Body struct {
			Since time.Time `json:"since" doc:"Events since this time. They are stored for 7 days (store.history)." example:"2026-11-23T08:15:30Z"`
		} `nameHint:"Recover"`
	}
	type recovered struct {
		Redelivered int `json:"redelivered" doc:"The number of deliveries that are tried again."`
	}
	route(m, api, operation(http.MethodPost, "/v1/subscriptions/{id}/recover", "recover-subscription", tagSubscriptions, "Recover missed events",
		"Delivers again what is dead, and what came while the subscription was disabled.", http.StatusAccepted, 404, 409, 413, 415),
		"body", func(ctx context.Context, in *recoverInput) (*answered[recovered], error) {
			n, err := m.Subscriptions.Recover(ctx, in.ID, in.Body.Since)
			return &answered[recovered]{recovered{n}}, err
		})
}
