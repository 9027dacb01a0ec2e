package api

import (
	"context"
	"net/http"
	"time"
)

const deliveries = "deliveries"

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
	LastError     string    `json:"last_error,omitempty" doc:"What went wrong at the last attempt, as a readable sentence. Absent: it succeeded, or there was none."`
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero" doc:"The earliest time of the next attempt. Absent: none is planned, or it is due now."`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// DeliveryWithAttempts is a delivery with all that was tried.
type DeliveryWithAttempts struct {
	Delivery
	Attempts []Attempt `json:"attempts" doc:"Oldest first."`
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

// DeliveryFilter selects deliveries; empty fields select all.
type DeliveryFilter struct{ Subscription, Session, State string }

// Deliveries lists deliveries, the most recently changed first. A part may be shorter
// than its limit, or even empty, and still have a Next.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter, p Page) (List[Delivery], error) {
	return get[List[Delivery]](ctx, c, p.query("subscription", f.Subscription, "session", f.Session, "state", f.State), deliveries)
}

// Delivery returns a delivery with its attempts.
func (c *Client) Delivery(ctx context.Context, id string) (DeliveryWithAttempts, error) {
	return get[DeliveryWithAttempts](ctx, c, nil, deliveries, id)
}

// Redeliver begins a delivery anew, whatever its state was.
func (c *Client) Redeliver(ctx context.Context, id string) (Delivery, error) {
	return send[Delivery](ctx, c, http.MethodPost, nil, deliveries, id, "redeliver")
}
