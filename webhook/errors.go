package webhook

import (
	"errors"
	"fmt"

	"pollbridge/webhook/delivery"
)

// Errors that callers branch on.
var (
	// ErrNotFound means that there is no such subscription or delivery, or not any
	// more.
	ErrNotFound = delivery.ErrNotFound
	// ErrEnded means that the subscription of a delivery has ended: it was deleted, or attached to a
	// session that is over. ErrForgotten means that the event of a delivery is no longer stored.
	ErrEnded, ErrForgotten = delivery.ErrEnded, delivery.ErrForgotten
	// ErrDisabled means that nothing is sent to a subscription that is disabled.
	ErrDisabled = delivery.ErrDisabled
	// ErrFull means that as many subscriptions are attached to sessions as can be. Each
	// ends with its session.
	ErrFull = errors.New("webhook: too many sessions have their own webhook, try again later")
	// ErrUnderWay means that a delivery is not over, so it cannot be started again.
	ErrUnderWay = delivery.ErrUnderWay
)

// FieldError is a value that cannot be used, in the words of whoever gave it. It
// repeats no secret.
type FieldError struct {
	Field   string // its JSON name, such as "url" or "headers.Host"
	Problem string // what is wrong, or what is accepted
}

// Error reads `FIELD: PROBLEM`.
func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }

// TargetError is a Pollbridge-Webhook header that cannot be used.
type TargetError struct {
	Problem string // for the client that sent the header; repeats none of its value but the host
}

// Error is the problem.
func (e *TargetError) Error() string { return "Pollbridge-Webhook: " + e.Problem }
