package delivery

import (
	"errors"
	"time"

	"pollbridge/webhook/send"
)

// The states of a delivery.
const (
	Waiting    = "waiting"    // to be tried, or tried again
	Delivered  = "delivered"  // answered 2xx
	Dead       = "dead"       // given up; can be delivered again
	Superseded = "superseded" // not tried, or not again, because the session's final event was delivered
)

// States are all of them.
func States() []string { return []string{Waiting, Delivered, Dead, Superseded} }

// Why a delivery is dead.
const (
	reasonDeleted   = "the subscription was deleted"
	reasonDisabled  = "the subscription is disabled"
	reasonForgotten = "the event is no longer stored"
	reasonGone      = "the receiver answered 410: the subscription is disabled"
	reasonNoRetries = "no retries left"
	reasonTooLate   = "the next attempt would come when the event is no longer stored"
)

// Errors that callers branch on.
var (
	// ErrNotFound means that there is no such delivery.
	ErrNotFound = errors.New("webhook: not found")
	// ErrEnded means that the subscription of a delivery has ended, so that there is nobody to
	// deliver to, and ErrForgotten that its event is no longer stored.
	ErrEnded     = errors.New("webhook: the subscription has ended")
	ErrForgotten = errors.New("webhook: the event is no longer stored")
	// ErrDisabled means that nothing is sent to a subscription that is disabled.
	ErrDisabled = errors.New("webhook: the subscription is disabled, enable it first")
	// ErrUnderWay means that a delivery is not over, so it cannot be started again.
	ErrUnderWay = errors.New("webhook: the delivery is in progress")
	// ErrCursor is for cursors that no call has returned.
	ErrCursor = errors.New("webhook: not a cursor of deliveries")
)

// Delivery is one event for one subscription. Its JSON is the form in which it is stored.
type Delivery struct {
	ID           string         `json:"id"` // dlv_…
	Subscription string         `json:"-"`
	Event        string         `json:"event"` // evt_…, which is the webhook-id
	Type         string         `json:"type"`  // of the event
	Session      string         `json:"-"`     // ses_…; for operational events the subscription that they are about
	State        string         `json:"state"`
	Reason       string         `json:"reason,omitempty"` // why it is dead
	Attempts     []send.Attempt `json:"attempts,omitempty"`
	Next         time.Time      `json:"next,omitzero"` // of the next attempt, not before; zero: none, or at once
	Created      time.Time      `json:"created"`
	Updated      time.Time      `json:"-"`
}

// EndedWithSubscription reports whether the delivery is dead because its subscription was
// deleted. That may be there again, if it is attached to a session.
func (d Delivery) EndedWithSubscription() bool { return d.State == Dead && d.Reason == reasonDeleted }

// Filter selects deliveries; empty fields select all. Subscription and Session are ids,
// see store.IsID.
type Filter struct{ Subscription, Session, State string }

// Stats is what there is to know at a glance.
type Stats struct {
	BacklogNow       int // deliveries that could be tried now
	BacklogLater     int // deliveries that wait for a retry
	Dead             int
	AttemptsUnderWay int
	Consumers        int // that are open
	OpenBreakers     int // of receivers that are left alone for a moment
}

// mostAttempts are kept with a delivery; of more, the first ones are forgotten.
const mostAttempts = 32

// delivery is a record of the table of deliveries; its key is made of subscription,
// session and id. It is written when something has happened to the delivery, or when that
// takes longer than a moment.
type delivery struct {
	Delivery
	Position uint64    `json:"place"`              // of the event in the log
	Recorded time.Time `json:"recorded,omitzero"`  // when the event was; zero in records of earlier versions
	Consumer string    `json:"consumer,omitempty"` // that has its item, if it has one
	Round    int       `json:"round,omitempty"`    // counts the redeliveries
	Tries    int       `json:"tries,omitempty"`    // in this round
	WasDead  bool      `json:"was_dead,omitempty"` // and is on the list of those, unless that was told of its end

	revision uint64 // 0: not stored
}

// begun is a delivery that begins with that work.
func (r *records) begun(w work) *delivery {
	return &delivery{Position: w.Position, Recorded: w.Recorded, Delivery: Delivery{
		ID: r.id(w.Subscription, w.Event), Subscription: w.Subscription, Session: w.Subject, Event: w.Event, Type: w.Type, State: Waiting, Created: r.store.Now(),
	}}
}

func (d *delivery) key() string { return d.Subscription + "." + d.Session + "." + d.ID }

func (d *delivery) over() bool { return d.State != Waiting }

// begin starts another round.
func (d *delivery) begin(round int) {
	d.Round, d.State, d.Reason, d.Tries, d.Next = round, Waiting, "", 0, time.Time{}
}
