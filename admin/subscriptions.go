package admin

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
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
	Recover(ctx context.Context, id string, since time.Time, from string) (count int, next string, err error)
	// Outcomes returns how sending to subscriptions goes, by id; those of which it does not are
	// left out.
	Outcomes(ctx context.Context, ids []string) (map[string]delivery.Outcomes, error)
	Attach(ctx context.Context, subject event.Subject, o webhook.AttachOptions) (webhook.Subscription, error)
	// Check returns what is wrong with the fields that are not empty.
	Check(webhook.Subscription) error
}

func shownSubscription(s webhook.Subscription) api.Subscription {
	return api.Subscription{
		ID: s.ID, URL: s.URL, Events: s.Events, Endpoints: s.Endpoints, Account: s.Account, Session: s.Session,
		IncludeFile: s.IncludeFile, Description: s.Description, Headers: s.Headers, Signature: s.Signature, PublicKey: s.PublicKey,
		Enabled: s.Enabled, DisabledReason: s.DisabledReason, DisabledAt: s.DisabledAt, FailingSince: s.FailingSince,
		OldSecretUntil: s.OldSecretUntil, CreatedAt: s.Created, UpdatedAt: s.Updated,
	}
}

// withOutcomes adds how sending goes, as far as that can be told now.
func (m *management) withOutcomes(ctx context.Context, shown ...*api.Subscription) {
	ids := make([]string, len(shown))
	for i, s := range shown {
		ids[i] = s.ID
	}
	outcomes, err := m.Subscriptions.Outcomes(ctx, ids)
	if err != nil {
		return // whoever lists subscriptions wants these most
	}
	for _, s := range shown {
		if o, known := outcomes[s.ID]; known {
			s.Outcomes = new(api.Outcomes(o))
		}
	}
}

func wanted(n api.NewSubscription) webhook.NewSubscription {
	return webhook.NewSubscription{
		URL: n.URL, Events: n.Events, Endpoints: n.Endpoints, Account: n.Account, Session: n.Session,
		IncludeFile: n.IncludeFile, Description: n.Description, Headers: n.Headers, Signature: n.Signature, Disabled: n.Enabled != nil && !*n.Enabled,
	}
}

func patch(b api.SubscriptionPatch) webhook.SubscriptionPatch {
	p := webhook.SubscriptionPatch{
		URL: b.URL, Events: b.Events.Value(), Endpoints: b.Endpoints.Value(), Account: b.Account.Value(), Session: b.Session.Value(),
		IncludeFile: b.IncludeFile.Value(), Description: b.Description.Value(), Headers: b.Headers.Value(),
		Signature: b.Signature.Value(), Enabled: b.Enabled,
	}
	if p.Signature != nil && *p.Signature == "" {
		p.Signature = new(webhook.SignatureV1)
	}
	return p
}

func zeroIfNil[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// nullable stands for an [api.Optional] in the description.
type nullable[T any] struct{}

func describeOptional[T any](r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[api.Optional[T]](), reflect.TypeFor[nullable[T]]())
}

// Schema is that of the value, or null.
func (nullable[T]) Schema(r huma.Registry) *huma.Schema {
	schema := r.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return schema
}

// SubscriptionPath is the path of a subscription. Huma sees exported types only.
type SubscriptionPath struct {
	ID string `path:"id" pattern:"^sub_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a subscription, sub_…"`
}

func withSecret(s webhook.Subscription) api.SubscriptionWithSecret {
	return api.SubscriptionWithSecret{Subscription: shownSubscription(s), Secret: s.Secret}
}

type created[T any] struct {
	Location string `header:"Location" doc:"The path of what was created."`
	Body     T
}

type answered[T any] struct{ Body T }

func (m *management) registerSubscriptions(h huma.API) {
	create := operation(http.MethodPost, "/v1/subscriptions", "create-subscription", tagSubscriptions, "Create a subscription",
		"From now on events are sent to its URL, signed with the secret that only this answer shows. A session that was polled before is watched from the next poll of a client on.", http.StatusCreated, 413, 415, 409)
	create = checked(create, func(r request) error {
		n := readable[api.NewSubscription](r.body)
		return m.Subscriptions.Check(webhook.Subscription{
			URL: n.URL, Events: n.Events, Endpoints: n.Endpoints, Session: n.Session, Description: n.Description, Headers: readableHeaders(r.body), Signature: n.Signature,
		})
	})
	route(m, h, create,
		"body", func(ctx context.Context, in *answered[api.NewSubscription]) (*created[api.SubscriptionWithSecret], error) {
			s, err := m.Subscriptions.Create(ctx, wanted(in.Body))
			if err != nil {
				return nil, err
			}
			return &created[api.SubscriptionWithSecret]{"/v1/subscriptions/" + s.ID, withSecret(s)}, nil
		})
	route(m, h, checked(operation(http.MethodGet, "/v1/subscriptions", "list-subscriptions", tagSubscriptions, "List subscriptions", "", http.StatusOK), cursorOf(ofSubscriptions)),
		inList, func(ctx context.Context, in *PageParams) (*answered[api.List[api.Subscription]], error) {
			after, err := in.after(ofSubscriptions)
			if err != nil {
				return nil, err
			}
			found, next, err := m.Subscriptions.List(ctx, after, in.Limit)
			list := listOf(found, shownSubscription, ofSubscriptions, next)
			if err == nil && len(found) > 0 {
				shown := make([]*api.Subscription, len(found))
				for i := range shown {
					shown[i] = &list.Items[i]
				}
				m.withOutcomes(ctx, shown...)
			}
			return &answered[api.List[api.Subscription]]{list}, err
		})
	route(m, h, operation(http.MethodGet, "/v1/subscriptions/{id}", "get-subscription", tagSubscriptions, "Get a subscription", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SubscriptionPath) (*answered[api.Subscription], error) {
			s, err := m.Subscriptions.Get(ctx, in.ID)
			shown := shownSubscription(s)
			if err == nil {
				m.withOutcomes(ctx, &shown)
			}
			return &answered[api.Subscription]{shown}, err
		})
	type changeInput struct {
		SubscriptionPath
		Body api.SubscriptionPatch
	}
	change := operation(http.MethodPatch, "/v1/subscriptions/{id}", "update-subscription", tagSubscriptions, "Change a subscription",
		"Fields that are left out stay as they are; null means what leaving the field out at creation means.", http.StatusOK, 404, 409, 413, 415)
	change = checked(change, func(r request) error {
		p := patch(readable[api.SubscriptionPatch](r.body))
		return m.Subscriptions.Check(webhook.Subscription{
			URL: zeroIfNil(p.URL), Events: zeroIfNil(p.Events), Endpoints: zeroIfNil(p.Endpoints), Session: zeroIfNil(p.Session),
			Description: zeroIfNil(p.Description), Signature: zeroIfNil(p.Signature),
			// Headers may stand for stored ones: only the service can tell.
		})
	})
	route(m, h, change,
		"body", func(ctx context.Context, in *changeInput) (*answered[api.Subscription], error) {
			s, err := m.Subscriptions.Update(ctx, in.ID, patch(in.Body))
			return &answered[api.Subscription]{shownSubscription(s)}, err
		})
	route(m, h, operation(http.MethodDelete, "/v1/subscriptions/{id}", "delete-subscription", tagSubscriptions, "Delete a subscription",
		"Deliveries that are still waiting are dead: they are listed and counted, and not tried any more.", http.StatusNoContent, 404),
		"path", func(ctx context.Context, in *SubscriptionPath) (*struct{}, error) {
			return nil, m.Subscriptions.Delete(ctx, in.ID)
		})
	m.registerSubscriptionActions(h)
}

func (m *management) registerSubscriptionActions(h huma.API) {
	type action struct {
		SubscriptionPath
		Body *noBody
	}
	route(m, h, operation(http.MethodPost, "/v1/subscriptions/{id}/rotate-secret", "rotate-secret", tagSubscriptions, "Rotate the secret",
		"Only this answer shows the new secret. For 24 hours deliveries are signed with the old one too.", http.StatusOK, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[api.SubscriptionWithSecret], error) {
			s, err := m.Subscriptions.RotateSecret(ctx, in.ID)
			return &answered[api.SubscriptionWithSecret]{withSecret(s)}, err
		})
	route(m, h, operation(http.MethodPost, "/v1/subscriptions/{id}/test", "test-subscription", tagSubscriptions, "Send webhook.test",
		"Makes one attempt now and answers 200 with its outcome, even if it failed. "+
			"The body reveals receivers that verify JSON which they decoded and encoded again.", http.StatusOK, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[api.Attempt], error) {
			attempt, err := m.Subscriptions.Test(ctx, in.ID)
			return &answered[api.Attempt]{shownAttempt(attempt)}, err
		})
	type recoverInput struct {
		SubscriptionPath
		Body api.Recover
	}
	route(m, h, operation(http.MethodPost, "/v1/subscriptions/{id}/recover", "recover-subscription", tagSubscriptions, "Recover missed events",
		"Delivers again what is dead, and what came while the subscription was disabled. Where there is more than one call has time for, "+
			"the answer has continue_from: call again with it, and the same since, until it has none.", http.StatusAccepted, 404, 409, 413, 415),
		"body", func(ctx context.Context, in *recoverInput) (*answered[api.Recovered], error) {
			from, err := position(ofRecoveries, "body.continue_from", in.Body.ContinueFrom)
			if err != nil {
				return nil, err
			}
			n, next, err := m.Subscriptions.Recover(ctx, in.ID, in.Body.Since, from)
			return &answered[api.Recovered]{api.Recovered{Redelivered: n, ContinueFrom: cursor(ofRecoveries, next)}}, err
		})
}
