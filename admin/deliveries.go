package admin

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
)

// Deliveries keeps what was, is and will be sent to webhooks: a [*webhook.Service].
type Deliveries interface {
	Deliveries(ctx context.Context, f delivery.Filter, before string, limit int) (page []delivery.Delivery, next string, err error)
	Delivery(ctx context.Context, id string) (delivery.Delivery, error)
	Redeliver(ctx context.Context, id string) (delivery.Delivery, error)
}

func shownDelivery(d delivery.Delivery) api.Delivery {
	shown := api.Delivery{
		ID: d.ID, Subscription: d.Subscription, Event: d.Event, Type: d.Type, Session: d.Session, State: d.State, Reason: d.Reason,
		AttemptCount: len(d.Attempts), NextAttemptAt: d.Next, CreatedAt: d.Created, UpdatedAt: d.Updated,
	}
	if n := len(d.Attempts); n > 0 {
		last := d.Attempts[n-1]
		shown.LastError = cmp.Or(last.Detail, last.Error)
	}
	return shown
}

func shownAttempt(a send.Attempt) api.Attempt {
	return api.Attempt{
		At: a.At, DurationMS: a.Duration.Milliseconds(), Success: a.Succeeded(), Status: a.Status, Error: a.Error, Detail: a.Detail,
		Answer: strings.ToValidUTF8(a.Answer, "�"),
	}
}

// DeliveryPath is the path of a delivery. Huma sees exported types only.
type DeliveryPath struct {
	ID string `path:"id" pattern:"^dlv_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a delivery, dlv_…"`
}

func (m *management) registerDeliveries(h huma.API) {
	type filter struct {
		PageParams
		Subscription string `query:"subscription" pattern:"^sub_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a subscription, sub_…" doc:"Only deliveries to this subscription."`
		State        string `query:"state" enum:"waiting,delivered,dead,superseded" doc:"Only deliveries in this state."`
		Session      string `query:"session" pattern:"^ses_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a session, ses_…" doc:"Only deliveries about this session."`
	}
	list := operation(http.MethodGet, "/v1/deliveries", "list-deliveries", tagDeliveries, "List deliveries", "Most recently changed first. A page may be shorter than its limit, or even empty, and still have a next.", http.StatusOK)
	route(m, h, checked(list, cursorOf(ofDeliveries)),
		inList, func(ctx context.Context, in *filter) (*answered[api.List[api.Delivery]], error) {
			before, err := in.after(ofDeliveries)
			if err != nil {
				return nil, err
			}
			wanted := delivery.Filter{Subscription: in.Subscription, Session: in.Session, State: in.State}
			found, next, err := m.Deliveries.Deliveries(ctx, wanted, before, in.Limit)
			return &answered[api.List[api.Delivery]]{listOf(found, shownDelivery, ofDeliveries, next)}, err
		})
	route(m, h, operation(http.MethodGet, "/v1/deliveries/{id}", "get-delivery", tagDeliveries, "Get a delivery with its attempts", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *DeliveryPath) (*answered[api.DeliveryWithAttempts], error) {
			d, err := m.Deliveries.Delivery(ctx, in.ID)
			shown := api.DeliveryWithAttempts{Delivery: shownDelivery(d)}
			for _, attempt := range d.Attempts {
				shown.Attempts = append(shown.Attempts, shownAttempt(attempt))
			}
			return &answered[api.DeliveryWithAttempts]{shown}, err
		})
	type action struct {
		DeliveryPath
		Body *noBody
	}
	route(m, h, operation(http.MethodPost, "/v1/deliveries/{id}/redeliver", "redeliver", tagDeliveries, "Redeliver",
		"Tried at once and with all retries of a new delivery, whatever its state was.", http.StatusAccepted, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[api.Delivery], error) {
			delivery, err := m.Deliveries.Redeliver(ctx, in.ID)
			return &answered[api.Delivery]{shownDelivery(delivery)}, err
		})
}
