package admin

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"pollbridge/admin/api"
	"pollbridge/internal/period"
)

const (
	// streamBatch is how many events are read at once for a stream, at most.
	streamBatch = 100
	// streamPiece is what a client has to read within writeTime. The engine holds some.
	streamPiece = 8 << 10
)

// pagePause is how long events are collected for a page after the last ones: it shows what is new once
// a second, and where much happens each event by itself would cost more than all else that it asks for.
const pagePause = 500 * time.Millisecond

const streamExample = "id: ZTA\n\nid: ZTE\nevent: session.succeeded\ndata: {\"id\":\"evt_…\",\"cursor\":\"ZTE\",\"type\":\"session.succeeded\",…}\n\n"

func (m *management) registerStream(h huma.API) {
	type input struct {
		AfterParam
		LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"The id of the last event that was seen; browsers send it by themselves. Takes precedence over after."`
		connection
	}
	op := operation(http.MethodGet, "/v1/events/stream", "stream-events", tagEvents, "Follow events",
		"Server-sent events: id is the cursor, event is the type, and data is an item of GET /v1/events. Without a cursor the stream begins with the next event. It begins with an id alone: the position that events follow. "+
			"A position after which events may be missing is answered 410.", http.StatusOK, 410)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream. It ends when the bridge stops: connect again with the last id.",
		Content: map[string]*huma.MediaType{"text/event-stream": {
			Schema: &huma.Schema{Type: huma.TypeString}, Example: streamExample,
		}},
	}}
	op = checked(op, func(r request) error {
		if id := r.header("Last-Event-ID"); id != "" {
			_, err := position(ofEvents, "header.Last-Event-ID", id)
			return err
		}
		return checkAfter(r)
	})
	route(m, h, op, "query", func(ctx context.Context, in *input) (*huma.StreamResponse, error) {
		after, err := m.from(ctx, cmp.Or(in.After, api.Latest))
		if in.LastEventID != "" {
			after, err = position(ofEvents, "header.Last-Event-ID", in.LastEventID)
		}
		if err != nil {
			return nil, err
		}
		if _, _, err := m.Services.Events.Events(ctx, after, 1, 0); err != nil { // nobody can be told later
			return nil, err
		}
		waiting, done, err := m.longPolls.admit(in.conn)
		if err != nil {
			return nil, err
		}
		s := &stream{m: m, ctx: waiting, conn: in.conn, login: in.login, events: &eventReader{events: m.Services.Events, after: after}}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			c := humafiber.Unwrap(ctx)
			c.Set(fiber.HeaderContentType, "text/event-stream")
			c.Set("X-Accel-Buffering", "no")
			// It runs after the handler, in a goroutine of its own, when c is already
			// another request's.
			run := func(w *bufio.Writer) error {
				defer done()
				s.run(w)
				return nil
			}
			if !c.Request().Header.IsHTTP11() {
				m.streams.Respond(c.Context(), run, done)
				return
			}
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { _ = run(w) })
		}}, nil
	})
}

// stream is one client that follows events.
type stream struct {
	m      *management
	ctx    context.Context
	conn   net.Conn
	login  string // of the browser that follows, or empty
	events *eventReader
}

// run writes until the client has left or the server stops.
func (s *stream) run(w *bufio.Writer) {
	defer func() {
		if recover() != nil { // nobody else would, and the process would end
			s.m.log.Error("event stream failed")
		}
	}()
	// A reader that sees no event before it has to connect again goes on from here.
	if s.write(w, fmt.Appendf(nil, "id: %s\n\n", cursor(ofEvents, s.events.after))) != nil {
		return
	}
	for s.ctx.Err() == nil {
		text, err := s.next()
		if err != nil && s.ctx.Err() == nil {
			s.m.log.Warn("event stream ended", "error", err)
		}
		if err != nil || !s.loggedIn() || s.write(w, text) != nil {
			return
		}
		if s.login != "" {
			_ = period.Pause(s.ctx, pagePause)
		}
	}
}

// loggedIn reports whether a browser that follows has not logged out meanwhile.
func (s *stream) loggedIn() bool { return s.login == "" || s.m.access.logins.has(s.ctx, s.login) }

// next returns what to write now: events, or a sign of life where there were none for
// a while. A client that has left is noticed by it, at the latest.
func (s *stream) next() ([]byte, error) {
	events, _, err := s.events.next(s.ctx, streamBatch)
	if err == nil && len(events) == 0 {
		events, err = s.events.wait(s.ctx, s.m.ping)
	}
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return []byte(": ping\n\n"), nil
	}
	var text []byte
	for _, event := range events {
		shown := shownEvent(event)
		data, err := jsonv2.Marshal(shown)
		if err != nil {
			return nil, err
		}
		text = fmt.Appendf(text, "id: %s\nevent: %s\ndata: %s\n\n", shown.Cursor, shown.Type, data)
	}
	return text, nil
}

// write gives the client some time for each piece: the deadline of the whole answer was
// set before. The engine would take all of a text at once, whether or not the client
// reads; of small pieces it holds a few.
func (s *stream) write(w *bufio.Writer, text []byte) error {
	defer s.m.unsent.add(len(text))()
	for len(text) > 0 {
		piece := text[:min(len(text), streamPiece)]
		text = text[len(piece):]
		s.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
