package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"pollbridge/session"
	"pollbridge/webhook"

	"github.com/valyala/fasthttp"
)

// Webhooks sends the events of a session to where a request wants them; see
// webhook.Service.
type Webhooks interface {
	// HeaderTarget reads the value of a Pollbridge-Webhook header. The error is a
	// *webhook.TargetError.
	HeaderTarget(value string) (webhook.AttachOptions, error)
	// Attach is durable when it returns nil. Attached again, nothing changes.
	Attach(ctx context.Context, subject webhook.Subject, o webhook.AttachOptions) (webhook.Subscription, error)
}

const headerWebhook = "Pollbridge-Webhook"

// target is where a request wants the events of its session to go.
func (s *Server) target(header *fasthttp.RequestHeader) (webhook.AttachOptions, error) {
	values := header.PeekAll(headerWebhook)
	if len(values) != 1 || !isURL(string(values[0])) {
		return webhook.AttachOptions{}, refusal(http.StatusBadRequest, headerWebhook+": want one URL, such as https://example.com/webhooks")
	}
	if s.webhooks == nil || s.watches == nil {
		return webhook.AttachOptions{}, refusal(http.StatusForbidden, headerWebhook+": this server is not configured to take webhooks from requests")
	}
	target, err := s.webhooks.HeaderTarget(string(values[0]))
	if err != nil {
		return webhook.AttachOptions{}, refusal(http.StatusForbidden, err.Error())
	}
	return target, nil
}

// isURL reports whether a value can be taken for the URL of a webhook at all. Which
// ones are allowed is decided elsewhere.
func isURL(value string) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] >= 0x7f {
			return false
		}
	}
	u, err := url.Parse(value)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// hook registers the webhook that a status request names. Whoever names one may rely
// on it alone, so there is no answer without it.
func (s *Server) hook(header *fasthttp.RequestHeader, v *session.Variant) error {
	target, err := s.target(header)
	if err != nil {
		return err
	}
	if err := s.attach(v, target); err != nil {
		return &publicError{
			status: http.StatusServiceUnavailable, code: session.CodeTechnicalError, retry: time.Second, cause: err,
			message: headerWebhook + ": the webhook could not be registered, try again later",
		}
	}
	return nil
}

// attach sends the events of v's session to target, and watches it. In this order: no
// event can come between.
func (s *Server) attach(v *session.Variant, target webhook.AttachOptions) error {
	ctx, cancel := context.WithTimeout(s.serving, registering)
	defer cancel()
	if _, err := s.webhooks.Attach(ctx, s.watches.Subject(v), target); err != nil {
		return fmt.Errorf("attach a webhook: %w", err)
	}
	if _, err := s.watches.Watch(ctx, v); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return nil
}

// errHookless is for requests to a status path that name a webhook and are passed
// through: nobody could say for which session.
var errHookless = refusal(http.StatusBadRequest, headerWebhook+": the request has to carry exactly one credential, in the place and form of a status request")
