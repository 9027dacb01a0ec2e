package delivery

import (
	"context"
	"time"

	"pollbridge/event"
)

// Subscription is what a delivery needs to know of a subscription, in its form of the
// moment. It is shared: nobody may change it.
type Subscription struct {
	ID             string
	Consumer       string // the name of the one that delivers to it, which others may share
	URL            string
	Headers        map[string]string
	IncludeFile    bool
	Disabled       bool
	SharesConsumer bool      // others have the same one
	FailingSince   time.Time // zero: the last attempt went well
	// Keys are what signs for it at a time.
	Keys func(time.Time) []string
}

// Subscriptions knows who events go to, and is told how they went. What it is told may
// come again for the same delivery, after a crash.
type Subscriptions interface {
	// Current waits until what follows knows of each change that was made before, by whatever
	// process.
	Current(ctx context.Context) error
	// Subscription returns one, or nil if there is none, or not any more.
	Subscription(id string) *Subscription
	// Matching returns those to which an event goes.
	Matching(e *event.Event) []*Subscription
	// FansOut is told that an event is about to be handed out. After an error it is not, and
	// comes again.
	FansOut(ctx context.Context, e *event.Event) error
	// Delivered is told that an event has arrived.
	Delivered(ctx context.Context, id string, e *event.Event)
	// Failed is told of a failed attempt.
	Failed(ctx context.Context, id string)
	// Gone is told that a receiver wants no more. After an error the delivery goes on.
	Gone(ctx context.Context, id, deliveryID string) error
}
