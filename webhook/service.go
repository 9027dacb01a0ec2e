package webhook

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/session"
	"pollbridge/store"
)

// Service keeps subscriptions, records events and delivers them. It is safe for
// concurrent use. Create it with New.
type Service struct{}

// Options is what a Service needs besides its configuration.
type Options struct {
	Store     *store.Store
	Log       *slog.Logger
	Registry  prometheus.Registerer
	UserAgent string // such as pollbridge/1.0
	// Endpoints are the names that subscriptions may filter by.
	Endpoints []string
	// History is how long events and deliveries are kept: store.Config.History.
	History time.Duration
	// Response returns the final answer of a session with its file, or an error where
	// there is none. It may be nil: then no event includes a file.
	Response func(ctx context.Context, sessionID string) (*session.Observation, error)
}

// New opens what is stored and reads the subscriptions; ctx bounds that. Nothing is
// sent before Start. The caller must Close it.
func New(ctx context.Context, cfg Config, o Options) (*Service, error) {
	panic("webhook: not built yet")
}

// Start begins to deliver: what was left undone comes first. It may be called once.
func (s *Service) Start() error { panic("webhook: not built yet") }

// Close stops delivering. Attempts under way get a moment to end; what is not done is
// given back and delivered after the next start. It may be called more than once.
func (s *Service) Close() { panic("webhook: not built yet") }

// Wanted reports whether an enabled subscription covers events of that session. It
// asks memory only.
func (s *Service) Wanted(Subject) bool { panic("webhook: not built yet") }

// Changed makes an event of c and records it: when it returns nil, that is durable. A
// session has at most one event of each type, and none but session.abandoned's later
// final one after a final one; a repeat is no error, but published is false.
func (s *Service) Changed(ctx context.Context, c Change) (published bool, err error) {
	panic("webhook: not built yet")
}

// Attach makes a subscription of one session, which ends with it. The same session and
// URL make the same subscription: attached again, it stays as it was and has no Secret.
func (s *Service) Attach(ctx context.Context, subject Subject, o AttachOptions) (Subscription, error) {
	panic("webhook: not built yet")
}

// HeaderTarget reads the value of a Pollbridge-Webhook header. The error is a
// *TargetError.
func (s *Service) HeaderTarget(value string) (AttachOptions, error) { panic("webhook: not built yet") }

// EraseSession erases the events of a session, its deliveries with all that was kept
// of the receivers' answers, and the subscriptions attached to it.
func (s *Service) EraseSession(ctx context.Context, sessionID string) error {
	panic("webhook: not built yet")
}

// Create makes a subscription; the result has its Secret. The error is a *FieldError
// where n cannot be used.
func (s *Service) Create(ctx context.Context, n NewSubscription) (Subscription, error) {
	panic("webhook: not built yet")
}

// Get returns a subscription, or ErrNotFound.
func (s *Service) Get(ctx context.Context, id string) (Subscription, error) {
	panic("webhook: not built yet")
}

// List returns up to limit subscriptions, the newest first, without bound ones; after
// is the id of the last one of the page before, or empty. next is empty at the end.
func (s *Service) List(ctx context.Context, after string, limit int) (page []Subscription, next string, err error) {
	panic("webhook: not built yet")
}

// Update changes a subscription. Errors are as in Create and Get.
func (s *Service) Update(ctx context.Context, id string, p SubscriptionPatch) (Subscription, error) {
	panic("webhook: not built yet")
}

// Delete removes a subscription and what waits for it; ErrNotFound if there is none.
// Its deliveries stay to be read until their time is over.
func (s *Service) Delete(ctx context.Context, id string) error { panic("webhook: not built yet") }

// RotateSecret gives a subscription a new secret, which the result has; the old one
// signs too for 24 hours.
func (s *Service) RotateSecret(ctx context.Context, id string) (Subscription, error) {
	panic("webhook: not built yet")
}

// Test sends a webhook.test event at once, whatever the subscription listens to and
// also if it is disabled, and returns what happened. It is not retried.
func (s *Service) Test(ctx context.Context, id string) (Attempt, error) {
	panic("webhook: not built yet")
}

// Recover delivers what a subscription has missed since a time: events that are dead,
// and those that came while it was disabled. It returns how many there are. The error
// is ErrNotFound or ErrDisabled where there is nobody to deliver to.
func (s *Service) Recover(ctx context.Context, id string, since time.Time) (count int, err error) {
	panic("webhook: not built yet")
}

// Deliveries returns up to limit deliveries, those that changed last first. before is
// what the page before returned as next, or empty. next is empty at the end; a page
// may be shorter than limit, even empty, and yet not the last. The error is a
// *FieldError where f or before cannot be used.
func (s *Service) Deliveries(ctx context.Context, f DeliveryFilter, before string, limit int) (page []Delivery, next string, err error) {
	panic("webhook: not built yet")
}

// Delivery returns a delivery, or ErrNotFound.
func (s *Service) Delivery(ctx context.Context, id string) (Delivery, error) {
	panic("webhook: not built yet")
}

// Redeliver delivers an event again that was delivered, superseded or given up, with
// all its retries. Errors are ErrNotFound, ErrUnderWay and ErrDisabled.
func (s *Service) Redeliver(ctx context.Context, id string) (Delivery, error) {
	panic("webhook: not built yet")
}

// Events returns up to limit events that follow a cursor, in their order, and the
// cursor to go on from. An empty cursor is the beginning. Where there is no event it
// waits for one, no longer than wait, and then returns none. The error is a
// *FieldError where the cursor cannot be used.
func (s *Service) Events(ctx context.Context, after string, limit int, wait time.Duration) (page []Event, next string, err error) {
	panic("webhook: not built yet")
}

// NewestEvent returns the cursor of the newest event, to hear only what follows.
func (s *Service) NewestEvent(ctx context.Context) (cursor string, err error) {
	panic("webhook: not built yet")
}

// Stats returns what there is to know at a glance.
func (s *Service) Stats(ctx context.Context) (Stats, error) { panic("webhook: not built yet") }

// AccountID is the id by which events and subscriptions know a credential.
func (s *Service) AccountID(credential string) string { panic("webhook: not built yet") }
