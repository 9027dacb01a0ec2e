package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"
)

const events = "events"

// Latest is what to read after to get only events from now on.
const Latest = "latest"

// Event is one event, as webhooks get it.
type Event struct {
	ID      string          `json:"id" doc:"The same at every attempt: the webhook-id." example:"evt_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Cursor  string          `json:"cursor" doc:"The position of the event: after=CURSOR continues after it."`
	Type    string          `json:"type" example:"session.succeeded"`
	Subject string          `json:"subject" doc:"The session that the event is about, or the subscription of an operational event."`
	Payload json.RawMessage `json:"payload" doc:"The body of the webhook: type, timestamp and data, without the content of files."`
}

// EventList is a part of all events.
type EventList struct {
	Items []Event `json:"items" doc:"Oldest first."`
	Next  string  `json:"next" doc:"The after of the next call. Always present."`
}

// EventQuery says which events are asked for. The zero value is the first that are
// stored.
type EventQuery struct {
	After string        // a cursor, or [Latest]
	Wait  time.Duration // for an event where there is none yet; up to a minute, in whole seconds
	Limit int           // the most events, up to 200; 0: as many as the server likes
}

// Events returns events, oldest first. Next of the list is where to go on, even where
// there were none.
func (c *Client) Events(ctx context.Context, e EventQuery) (EventList, error) {
	return get[EventList](ctx, c, query("after", e.After, "wait", number(int(e.Wait/time.Second)), "limit", number(e.Limit)), events)
}

// EventStream is a connection on which events arrive as they happen. One goroutine may
// use it at a time.
type EventStream struct {
	body   io.ReadCloser
	lastID string
}

// FollowEvents opens a stream of the events that follow a cursor; empty means [Latest].
// The caller must Close it. It ends with ctx, too.
func (c *Client) FollowEvents(ctx context.Context, after string) (*EventStream, error) {
	answer, err := c.do(ctx, request{
		method: http.MethodGet, path: []string{events, "stream"}, query: query("after", after), header: http.Header{"Accept": {"text/event-stream"}},
	})
	if err != nil {
		return nil, err
	}
	return &EventStream{answer.Body, after}, nil
}

// mostEvent is how large an event may be: its payload has an answer of 256 KiB at most.
const mostEvent = 4 << 20

// All yields events until the stream ends, which the server does when it stops, or fails.
// It can be ranged over once.
func (s *EventStream) All() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for got, err := range sse.Read(s.body, &sse.ReadConfig{MaxEventSize: mostEvent}) {
			var e Event
			if err == nil {
				s.lastID = got.LastEventID
				if got.Data == "" {
					continue // only a position
				}
				err = json.Unmarshal([]byte(got.Data), &e)
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("api: reading events: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// LastID is where to go on after this stream: what FollowEvents takes.
func (s *EventStream) LastID() string { return s.lastID }

// Close ends the stream. It may be called from any goroutine, and more than once.
func (s *EventStream) Close() error { return s.body.Close() }
