package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"pollbridge/webhook"
)

// Events is the record of what happened: a [*webhook.Service].
type Events interface {
	// Events returns events that follow a cursor, or none after wait or when ctx ends.
	Events(ctx context.Context, after string, limit int, wait time.Duration) (page []webhook.Event, next string, err error)
	NewestEvent(context.Context) (cursor string, err error)
}

// Event is one event, as webhooks get it.
type Event struct {
	ID      string          `json:"id" doc:"The same at every attempt: the webhook-id." example:"evt_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Cursor  string          `json:"cursor" doc:"The position of the event: after=CURSOR continues after it."`
	Type    string          `json:"type" example:"session.succeeded"`
	Subject string          `json:"subject" doc:"The session that the event is about, or the subscription of an operational event."`
	Payload json.RawMessage `json:"payload" doc:"The body of the webhook: type, timestamp and data, without the content of files."`
}

func shownEvent(e webhook.Event) Event {
	return Event{e.ID, cursor(ofEvents, e.Cursor), e.Type, e.Subject, e.Payload}
}

type eventList struct {
	Items []Event `json:"items" doc:"Oldest first."`
	Next  string  `json:"next" doc:"The after of the next call. Always present."`
}

// latest is what after may be instead of a cursor.
const latest = "latest"

// AfterParam is where readers begin. Huma sees exported types only.
type AfterParam struct {
	After string `query:"after" maxLength:"64" doc:"A cursor: only later events. latest: only events from now on. Left out: everything that is stored."`
}

// from resolves where to begin.
func (m *management) from(ctx context.Context, after string) (string, error) {
	if after == latest {
		return m.Services.Events.NewestEvent(ctx)
	}
	return position(ofEvents, "query.after", after)
}

// connection is what the client is connected by.
type connection struct{ conn net.Conn }

// Resolve is called by huma before the handler.
func (c *connection) Resolve(ctx huma.Context) []error {
	c.conn = humafiber.Unwrap(ctx).Context().Conn()
	return nil
}

func (m *management) registerEvents(api huma.API) {
	type input struct {
		AfterParam
		Wait  int `query:"wait" minimum:"0" maximum:"60" doc:"How many seconds to wait if there is no event yet." example:"30"`
		Limit int `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most events to return."`
		connection
	}
	route(m, api, operation(http.MethodGet, "/v1/events", "list-events", tagEvents, "Fetch events",
		"Every event that a webhook could receive, in order, whether or not a subscription wants it. Reading removes nothing: each reader keeps the cursor in next.",
		http.StatusOK),
		"query", func(ctx context.Context, in *input) (*answered[eventList], error) {
			after, err := m.from(ctx, in.After)
			if err != nil {
				return nil, err
			}
			events, next, err := m.await(in.conn, after, in.Limit, time.Duration(in.Wait)*time.Second)
			if err != nil {
				return nil, err
			}
			answer := eventList{Items: make([]Event, len(events)), Next: cursor(ofEvents, cmp.Or(next, after))}
			for i := range events {
				answer.Items[i] = shownEvent(events[i])
			}
			return &answered[eventList]{answer}, nil
		})
	m.registerStream(api)
}

// await returns events, or none when the time is over, the client has left or the
// server stops.
func (m *management) await(conn net.Conn, after string, limit int, wait time.Duration) ([]webhook.Event, string, error) {
	if wait == 0 {
		ctx, cancel := context.WithTimeout(m.longPolls.ctx, callTime)
		defer cancel()
		return m.Services.Events.Events(ctx, after, limit, 0)
	}
	ctx, done, err := m.longPolls.admit(conn)
	if err != nil {
		return nil, "", err
	}
	defer done()
	events, next, err := m.Services.Events.Events(ctx, after, limit, wait)
	if err != nil && ctx.Err() != nil {
		return nil, after, nil
	}
	return events, next, err
}
