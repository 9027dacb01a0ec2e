package admin

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"pollbridge/admin/api"
	"pollbridge/internal/http10"
	"pollbridge/session"
)

// Services is what the management API manages. All of it is needed, and all of it is
// safe for concurrent use. Contexts end shortly before the program, or when the client has left,
// or after callTime.
//
// What a service returns is shown: it holds no access token. Of the errors that a
// service returns, clients are told what [webhook.FieldError], [webhook.ErrNotFound], [webhook.ErrEnded],
// [webhook.ErrForgotten], [webhook.ErrDisabled], [webhook.ErrUnderWay], the errors of the packages watch and
// store and [ErrUnavailable] say; of any other only that there was one.
type Services struct {
	Subscriptions Subscriptions
	Deliveries    Deliveries
	Sessions      Sessions
	Answers       Answers
	Table         *session.Table // of the endpoints that sessions can be watched at
	Events        Events
	Stats         func(context.Context) (api.Stats, error)
	Replicas      func() []api.Replica // at least this one
	Schedule      func() api.Schedule
}

// callTime bounds one call of the API, besides what it waits for events.
const callTime = 25 * time.Second

// management is the API below /v1 and its description.
type management struct {
	Services
	log       *slog.Logger
	calling   context.Context // of calls: ends shortly before the server has to
	longPolls *longPolls
	streams   *http10.Streams
	unsent    *unsent
	ping      time.Duration
	access    *access
}

// register puts the API into app. Whatever is below /v1 needs a key.
func (m *management) register(app *fiber.App, version string) {
	app.Use("/v1", identify, m.access.always, harden, m.parsable, wholeBody, m.bound, m.unsent.count)
	app.Use("/openapi.json", identify, harden)
	h := humafiber.New(app, newAPIConfig(version))
	h.UseMiddleware(lookBesides)
	m.registerSubscriptions(h)
	m.registerDeliveries(h)
	m.registerSessions(h)
	m.registerEvents(h)
	m.registerStats(h)
	describeWebhooks(h.OpenAPI())
	description := document(h.OpenAPI())
	app.Get("/openapi.json", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, "application/openapi+json")
		return c.Send(description)
	})
}

// identify gives every request an id, in the header of the answer: the client's own if
// it sent a sensible one.
func identify(c *fiber.Ctx) error {
	id := c.Get(fiber.HeaderXRequestID)
	if !sensibleID(id) {
		id = rand.Text()
	}
	c.Set(fiber.HeaderXRequestID, id)
	return c.Next()
}

func sensibleID(id string) bool { return id != "" && len(id) <= 128 && isToken(id) }

func harden(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	return c.Next()
}

// parsable refuses addresses that cannot be read.
func (m *management) parsable(c *fiber.Ctx) error {
	address, err := url.ParseRequestURI(c.OriginalURL())
	if err != nil {
		return newProblem(http.StatusBadRequest, "the request target is malformed")
	}
	if _, err := url.ParseQuery(address.RawQuery); err != nil {
		return newProblem(http.StatusBadRequest, "the query is malformed: want NAME=VALUE&NAME=VALUE, percent-encoded")
	}
	return c.Next()
}

// bound gives the call a context of its own: fiber's ends with nothing and belongs to
// the next request as soon as the handler has returned.
func (m *management) bound(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(m.calling, callTime)
	defer cancel()
	c.SetUserContext(ctx)
	return c.Next()
}

// route adds an operation; in is where the fields are that its service may complain
// about.
func route[I, O any](m *management, h huma.API, op huma.Operation, in string, f func(context.Context, *I) (*O, error)) {
	huma.Register(h, op, func(ctx context.Context, input *I) (*O, error) {
		if err := refused(ctx); err != nil {
			return nil, err
		}
		output, err := f(ctx, input)
		if err != nil {
			return nil, m.publish(ctx, &op, in, err)
		}
		return output, nil
	})
}

// noBody is the body of calls that take none: whatever is sent is refused.
type noBody struct{}

// PageParams is how a part of a list is asked for. Huma sees exported types only.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most items to return."`
	Cursor string `query:"cursor" maxLength:"512" doc:"Where to continue: the next of the previous answer."`
}

// after is where to continue, as the service gave it. Empty: with the newest.
func (p PageParams) after(kind byte) (string, error) { return position(kind, "query.cursor", p.Cursor) }

func listOf[T, S any](found []T, shown func(T) S, kind byte, next string) api.List[S] {
	l := api.List[S]{Items: make([]S, len(found)), Next: cursor(kind, next)}
	for i := range found {
		l.Items[i] = shown(found[i])
	}
	return l
}
