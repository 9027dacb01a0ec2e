package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/internal/check"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// problem is an [api.Problem] as huma sends it.
type problem struct{ api.Problem }

const problemType = "application/problem+json"

func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemType }

// newProblem takes over what huma found, but for the values. Of each field the first
// complaint counts.
func newProblem(status int, detail string, errs ...error) *problem {
	p := &problem{api.Problem{Status: status, Title: http.StatusText(status), Detail: detail}}
	for _, err := range errs {
		if found, ok := err.(huma.ErrorDetailer); ok {
			field := located(found.ErrorDetail())
			if !slices.ContainsFunc(p.Errors, func(other api.ProblemField) bool { return other.Location == field.Location }) {
				p.Errors = append(p.Errors, field)
			}
		}
	}
	if len(p.Errors) > 0 {
		p.Detail = summary(p.Errors)
	}
	return p
}

const missing = "expected required property "

// located says which field is meant where huma names only the object that lacks it.
func located(found *huma.ErrorDetail) api.ProblemField {
	field := api.ProblemField{Location: found.Location, Message: found.Message}
	if rest, ok := strings.CutPrefix(field.Message, missing); ok {
		if name, ok := strings.CutSuffix(rest, " to be present"); ok {
			field.Location += "." + name
			field.Message = "is required"
		}
	}
	if strings.HasPrefix(field.Message, "unknown content type") {
		field.Location, field.Message = "header.Content-Type", "must be application/json"
	}
	if field.Message == "unexpected property" {
		field.Message = "unknown field"
	}
	parts := strings.Split(field.Location, ".")
	for i := range parts {
		parts[i] = shorten(parts[i])
	}
	field.Location = strings.Join(parts[:min(len(parts), 10)], ".")
	return field
}

func summary(fields []api.ProblemField) string {
	text := fields[0].Location + ": " + fields[0].Message
	if more := len(fields) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// shorten shows a name that a client made up, as far as it can be one: a secret that was
// sent where a name belongs is not repeated.
func shorten(name string) string {
	if !check.IsName(name) {
		return "(not shown)"
	}
	return name
}

// at is the problem of a single field.
func at(location, message string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "", &huma.ErrorDetail{Location: location, Message: message})
}

// ErrUnavailable is what services return for what cannot be done just now, and could
// be later.
var ErrUnavailable = errors.New("admin: not available at the moment")

// inList says that a service complains about the query of a list: whatever name it has
// for where to go on, clients know it as cursor.
const inList = "list"

func location(in, field string) string {
	if in != inList {
		return in + "." + field
	}
	switch field {
	case "after", "before":
		field = "cursor"
	}
	return "query." + field
}

// publish turns what a service returned into what may be shown: in is where its
// fields were: "body", "query", "path" or inList.
func (m *management) publish(ctx context.Context, op *huma.Operation, in string, err error) error {
	if known, ok := errors.AsType[*problem](err); ok {
		return known
	}
	if wrong := details(in, err); wrong != nil {
		return newProblem(http.StatusUnprocessableEntity, "", wrong...)
	}
	if gone, ok := errors.AsType[*event.GoneError](err); ok {
		p := newProblem(http.StatusGone, "events after this cursor may be missing: it belongs to another store, is from before a backup was restored, or is older than what is kept; continue from oldest_cursor")
		p.OldestCursor = cursor(ofEvents, gone.Oldest)
		return p
	}
	switch {
	case isNotFound(err):
		return newProblem(http.StatusNotFound, "nothing with this id is stored, or it is no longer stored")
	case errors.Is(err, webhook.ErrEnded):
		return newProblem(http.StatusConflict, "the subscription of this delivery has ended: it was deleted, or it was attached to a session that is over, so there is nobody to deliver to")
	case errors.Is(err, webhook.ErrForgotten):
		return newProblem(http.StatusConflict, "the event of this delivery is no longer stored, so it cannot be delivered again")
	case errors.Is(err, webhook.ErrDisabled):
		return newProblem(http.StatusConflict, "the subscription is disabled: enable it first")
	case errors.Is(err, webhook.ErrUnderWay):
		return newProblem(http.StatusConflict, "the delivery is already in progress")
	case errors.Is(err, store.ErrConflict):
		return newProblem(http.StatusConflict, "it was changed by another request in the meantime: fetch it and try again")
	case errors.Is(err, store.ErrTooLarge):
		return newProblem(http.StatusUnprocessableEntity, "it is too large to be stored")
	case errors.Is(err, watch.ErrFull):
		m.log.Warn("session refused: watch.max reached")
		return later("the limit of watched sessions is reached: try again later")
	case errors.Is(err, errNoRoom):
		m.log.Warn("final answer not sent: too many are held for clients that are slow to read")
		return later(noRoom)
	case errors.Is(err, webhook.ErrFull):
		m.log.Warn("webhook refused: the limit of webhooks attached to sessions is reached")
		return later("the limit of webhooks attached to sessions is reached: try again later")
	case errors.Is(err, watch.ErrClosed), errors.Is(err, store.ErrUnusable), errors.Is(err, ErrUnavailable), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		m.log.Warn("management request could not be answered", "operation", op.OperationID, "error", err)
		return later("not possible at the moment: try again")
	}
	m.log.Error("management request failed", "operation", op.OperationID, "error", err)
	return newProblem(http.StatusInternalServerError, "internal error: see the log")
}

func isNotFound(err error) bool {
	return errors.Is(err, webhook.ErrNotFound) || errors.Is(err, watch.ErrNotFound) || errors.Is(err, store.ErrNotFound)
}

func later(detail string) error {
	p := newProblem(http.StatusServiceUnavailable, detail)
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {"1"}})
}
