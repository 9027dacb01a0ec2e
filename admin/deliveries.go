package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/webhook"
	"pollbridge/webhook/send"
)

// Deliveries keeps what was, is and will be sent to webhooks: a [*webhook.Service].
type Deliveries interface {
	Deliveries(ctx context.Context, f webhook.DeliveryFilter, before string, limit int) (page []webhook.Delivery, next string, err error)
	Delivery(ctx context.Context, id string) (webhook.Delivery, error)
	Redeliver(ctx context.Context, id string) (webhook.Delivery, error)
}

// Delivery is one event for one subscription, as the API shows it.
type Delivery struct {
	ID            string    `json:"id" example:"dlv_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Subscription  string    `json:"subscription"`
	Event         string    `json:"event" doc:"The id of the event, which is the webhook-id."`
	Type          string    `json:"type" doc:"The type of the event." example:"session.succeeded"`
	Session       string    `json:"session,omitempty" doc:"The session that the event is about, or the subscription of an operational event."`
	State         string    `json:"state" enum:"waiting,delivered,dead,superseded" doc:"waiting: due now, or waiting for a retry; dead: given up, can be redelivered; superseded: no longer needed because the session's final event was delivered."`
	Reason        string    `json:"reason,omitempty" doc:"Why the delivery is dead."`
	AttemptCount  int       `json:"attempt_count" doc:"How many attempts were made."`
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero" doc:"The earliest time of the next attempt. Absent: none is planned, or it is due now."`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

func shownDelivery(d webhook.Delivery) Delivery {
	return Delivery{
		ID: d.ID, Subscription: d.Subscription, Event: d.Event, Type: d.Type, Session: d.Session, State: d.State, Reason: d.Reason,
		AttemptCount: len(d.Attempts), NextAttemptAt: d.Next, CreatedAt: d.Created, UpdatedAt: d.Updated,
	}
}

// Attempt is one try to deliver, as the API shows it.
type Attempt struct {
	At         time.Time `json:"at"`
	DurationMS int64     `json:"duration_ms"`
	Success    bool      `json:"success" doc:"Whether the receiver answered 2xx."`
	Status     int       `json:"status,omitzero" doc:"The HTTP status of the answer. Absent: there was no answer."`
	Error      string    `json:"error,omitempty" doc:"The kind of failure, in one word." example:"timeout"`
	Detail     string    `json:"detail,omitempty" doc:"What happened, as a readable sentence."`
	Answer     string    `json:"answer,omitempty" doc:"The first 4 KiB of the receiver's answer, as far as they came within a second."`
}

func shownAttempt(a send.Attempt) Attempt {
	return Attempt{
		At: a.At, DurationMS: a.Duration.Milliseconds(), Success: a.Succeeded(), Status: a.Status, Error: a.Error, Detail: a.Detail,
		Answer: strings.ToValidUTF8(a.Answer, "�"),
	}
}

type deliveryWithAttempts struct {
	Delivery
	Attempts []Attempt `json:"attempts" doc:"Oldest first."`
}

// DeliveryPath is the path of a delivery. Huma sees exported types only.
type DeliveryPath struct {
	ID string `path:"id" pattern:"^dlv_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a delivery, dlv_…"`
}

func (m *management) registerDeliveries(api huma.API) {
	type filter struct {
		PageParams
		Subscription string `query:"subscription" pattern:"^sub_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a subscription, sub_…" doc:"Only deliveries to this subscription."`
		State        string `query:"state" enum:"waiting,delivered,dead,superseded" doc:"Only deliveries in this state."`
		Session      string `query:"session" pattern:"^ses_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a session, ses_…" doc:"Only deliveries about this session."`
	}
	route(m, api, operation(http.MethodGet, "/v1/deliveries", "list-deliveries", tagDeliveries, "List deliveries", "Most recently changed first. A page may be shorter than its limit, or even empty, and still have a next.", http.StatusOK),
		inList, func(ctx context.Context, in *filter) (*answered[list[Delivery]], error) {
			before, err := in.after(ofDeliveries)
			if err != nil {
				return nil, err
			}
			wanted := webhook.DeliveryFilter{Subscription: in.Subscription, Session: in.Session, State: in.State}
			found, next, err := m.Deliveries.Deliveries(ctx, wanted, before, in.Limit)
			return &answered[list[Delivery]]{listOf(found, shownDelivery, ofDeliveries, next)}, err
		})
	route(m, api, operation(http.MethodGet, "/v1/deliveries/{id}", "get-delivery", tagDeliveries, "Get a delivery with its attempts", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *DeliveryPath) (*answered[deliveryWithAttempts], error) {
			d, err := m.Deliveries.Delivery(ctx, in.ID)
			shown := deliveryWithAttempts{Delivery: shownDelivery(d)}
			for _, attempt := range d.Attempts {
				shown.Attempts = append(shown.Attempts, shownAttempt(attempt))
			}
			return &answered[deliveryWithAttempts]{shown}, err
		})
	type action struct {
		DeliveryPath
		Body *noBody
	}
	route(m, api, operation(http.MethodPost, "/v1/deliveries/{id}/redeliver", "redeliver", tagDeliveries, "Redeliver",
		"Tried at once and with all retries of a new delivery, whatever its state was.", http.StatusAccepted, 404, 409, 413, 415),
		"path", func(ctx context.Context, in *action) (*answered[Delivery], error) {
			delivery, err := m.Deliveries.Redeliver(ctx, in.ID)
			return &answered[Delivery]{shownDelivery(delivery)}, err
		})
}
