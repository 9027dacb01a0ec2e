package admin

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"pollbridge/admin/api"
	"pollbridge/webhook"
)

// Events is the record of what happened: a [*webhook.Service].
type Events interface {
	// Events returns events that follow a cursor, or none after wait or when ctx ends.
	Events(ctx context.Context, after string, limit int, wait time.Duration) (page []webhook.Event, next string, err error)
	NewestEvent(context.Context) (cursor string, err error)
	// EventsOf returns the events of a session, the oldest first.
	EventsOf(ctx context.Context, sessionID string) ([]webhook.Event, error)
}

func shownEvent(e webhook.Event) api.Event {
	return api.Event{ID: e.ID, Cursor: cursor(ofEvents, e.Cursor), Type: e.Type, Subject: e.Subject, Payload: e.Payload}
}

// AfterParam is where readers begin. Huma sees exported types only.
type AfterParam struct {
	After string `query:"after" maxLength:"64" doc:"A cursor: only later events. latest: only events from now on. Left out: everything that is stored."`
}

// from resolves where to begin.
func (m *management) from(ctx context.Context, after string) (string, error) {
	if after == api.Latest {
		return m.Services.Events.NewestEvent(ctx)
	}
	return position(ofEvents, "query.after", after)
}

// checkAfter checks where a reader wants to begin.
func checkAfter(r request) (err error) {
	if after := r.query.Get("after"); after != api.Latest {
		_, err = position(ofEvents, "query.after", after)
	}
	return err
}

// connection is what the client is connected by, and its login if it is a browser.
type connection struct {
	conn  net.Conn
	login string
}

// Resolve is called by huma before the handler.
func (c *connection) Resolve(ctx huma.Context) []error {
	request := humafiber.Unwrap(ctx)
	c.conn = request.Context().Conn()
	c.login, _ = request.Locals(loginKey{}).(string)
	return nil
}

func (m *management) registerEvents(h huma.API) {
	type input struct {
		AfterParam
		Wait  int `query:"wait" minimum:"0" maximum:"60" doc:"How many seconds to wait if there is no event yet." example:"30"`
		Limit int `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most events to return. Fewer come where they are large."`
		connection
	}
	list := operation(http.MethodGet, "/v1/events", "list-events", tagEvents, "Fetch events",
		"Every event that a webhook could receive, in order, whether or not a subscription wants it. Reading removes nothing: each reader keeps the cursor in next. "+
			"A cursor after which events may be missing is answered 410.",
		http.StatusOK, 410)
	route(m, h, checked(list, checkAfter),
		"query", func(ctx context.Context, in *input) (*answered[api.EventList], error) {
			after, err := m.from(ctx, in.After)
			if err != nil {
				return nil, err
			}
			events, next, err := m.await(in.conn, after, in.Limit, time.Duration(in.Wait)*time.Second)
			if err != nil {
				return nil, err
			}
			answer := api.EventList{Items: make([]api.Event, len(events)), Next: cursor(ofEvents, next)}
			for i := range events {
				answer.Items[i] = shownEvent(events[i])
			}
			return &answered[api.EventList]{answer}, nil
		})
	m.registerStream(h)
}

// await returns events, or none when the time is over, the client has left or the
// server stops.
func (m *management) await(conn net.Conn, after string, limit int, wait time.Duration) (page []webhook.Event, next string, err error) {
	r := &eventReader{events: m.Services.Events, after: after}
	if wait == 0 {
		ctx, cancel := context.WithTimeout(m.calling, callTime)
		defer cancel()
		page, err = r.page(ctx, limit)
		return page, r.after, err
	}
	ctx, done, err := m.longPolls.admit(conn)
	if err != nil {
		return nil, "", err
	}
	defer done()
	first, err := r.wait(ctx, wait)
	if err == nil && len(first) > 0 {
		page, err = r.page(ctx, limit-len(first))
	}
	if err != nil && ctx.Err() != nil {
		return nil, after, nil
	}
	return append(first, page...), r.after, err
}

const (
	// eventPage is about how large a page of events is, in bytes, and eventPart what is
	// read at once.
	eventPage = 1 << 20
	eventPart = 128 << 10
)

// eventReader reads on, part by part. Events differ in size a thousandfold, so the sizes of
// those that came say how many are read next.
type eventReader struct {
	events Events
	after  string
	each   int // how many are read next, if they are wanted
}

// wait returns an event, or none when the time is over.
func (r *eventReader) wait(ctx context.Context, wait time.Duration) ([]webhook.Event, error) {
	part, _, err := r.read(ctx, 1, wait)
	return part, err
}

// next returns up to limit events, or none if there are none yet.
func (r *eventReader) next(ctx context.Context, limit int) (part []webhook.Event, size int, err error) {
	return r.read(ctx, min(limit, max(1, r.each)), 0)
}

// page returns up to limit events, fewer if they are large, or none.
func (r *eventReader) page(ctx context.Context, limit int) (page []webhook.Event, err error) {
	for size := 0; len(page) < limit && size < eventPage; {
		part, n, err := r.next(ctx, limit-len(page))
		if err != nil || len(part) == 0 {
			return page, err
		}
		page, size = append(page, part...), size+n
	}
	return page, nil
}

func (r *eventReader) read(ctx context.Context, limit int, wait time.Duration) (part []webhook.Event, size int, err error) {
	part, next, err := r.events.Events(ctx, r.after, limit, wait)
	if err != nil {
		return nil, 0, err
	}
	r.after = cmp.Or(next, r.after)
	for i := range part {
		size += len(part[i].Payload)
	}
	if n := len(part); n > 0 {
		r.each = min(4*n, eventPart*n/max(size, 1)) // not too many after a few small ones
	}
	return part, size, nil
}
