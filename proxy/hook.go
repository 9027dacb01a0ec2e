package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/webhook"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Webhooks sends the events of a session to where a request wants them; see
// webhook.Service.
type Webhooks interface {
	// HeaderTarget reads the value of a Pollbridge-Webhook header. The error is a
	// *webhook.TargetError.
	HeaderTarget(value string) (webhook.AttachOptions, error)
	// Attach is durable when it returns nil. Attached again, nothing changes.
	Attach(ctx context.Context, subject event.Subject, o webhook.AttachOptions) (webhook.Subscription, error)
}

const headerWebhook = "Pollbridge-Webhook"

// target is where a request wants the events of its session to go.
func (s *Server) target(header *fasthttp.RequestHeader) (webhook.AttachOptions, error) {
	values := header.PeekAll(headerWebhook)
	if len(values) != 1 || !isURL(string(values[0])) {
		return webhook.AttachOptions{}, refusal(http.StatusBadRequest, headerWebhook+": want one URL, such as https://example.com/webhooks")
	}
	if s.options.Webhooks == nil || s.options.Watches == nil {
		return webhook.AttachOptions{}, refusal(http.StatusForbidden, headerWebhook+": this server is not configured to take webhooks from requests")
	}
	target, err := s.options.Webhooks.HeaderTarget(string(values[0]))
	if err != nil {
		return webhook.AttachOptions{}, refusal(http.StatusForbidden, err.Error())
	}
	return target, nil
}

// isURL reports whether a value can be taken for the URL of a webhook at all. Which
// ones are allowed is decided elsewhere.
func isURL(value string) bool {
	u, err := url.Parse(value)
	return err == nil && isGraphic([]byte(value)) && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// hooked answers a status request that names a webhook, after that is registered:
// whoever names one may rely on it alone. Where the upstream does not say that the
// session exists, nothing is registered: anybody could have made up its token.
func (s *Server) hooked(c *fiber.Ctx, r *statusRequest) (outcome, error) {
	target, err := s.target(&c.Request().Header)
	if err != nil {
		return outcome{}, err
	}
	variant := r.Variant()
	result, err := s.options.Statuses.GetFor(s.asking(r), variant, r.origin)
	if err == nil && !result.OtherVariant && (result.State == session.Pending || result.State.Final()) {
		if err := s.attach(variant, target, r.span); err != nil {
			return outcome{cors: s.corsOf(r, variant)}, unhooked(err)
		}
	}
	if err == nil && r.wait > 0 && result.State == session.Pending {
		result, err = s.hold(c, r, variant)
	}
	return s.tell(c, r, variant, result, err)
}

// unhooked is why a webhook could not be registered, in terms of the client.
func unhooked(err error) error {
	if field, ok := errors.AsType[*webhook.FieldError](err); ok {
		return refusal(http.StatusBadRequest, headerWebhook+": "+field.Problem)
	}
	return &publicError{
		status: http.StatusServiceUnavailable, code: session.CodeTechnicalError, retry: time.Second, cause: err,
		message: headerWebhook + ": the webhook could not be registered, try again later",
	}
}

// attach sends the events of v's session to target, and watches it. In this order: no
// event can come between. What was seen before is told of, too.
func (s *Server) attach(v *session.Variant, target webhook.AttachOptions, span *tracing.Span) error {
	ctx, cancel := s.registration(span)
	defer cancel()
	if _, err := s.options.Webhooks.Attach(ctx, s.options.Watches.Subject(v), target); err != nil {
		return fmt.Errorf("attach a webhook: %w", err)
	}
	if _, err := s.options.Watches.Watch(ctx, v); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return nil
}

// errHookless is for requests to a status path that name a webhook and are passed
// through: nobody could say for which session.
var errHookless = refusal(http.StatusBadRequest, headerWebhook+": the request has to carry exactly one credential, in the place and form of a status request")
