package event

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"pollbridge/store"
	"pollbridge/tracing"
)

// Event is an entry of the log. It is shared: nobody may change it.
type Event struct {
	ID        string    `json:"id"` // evt_…
	Type      string    `json:"type"`
	Endpoint  string    `json:"endpoint,omitempty"`
	Account   string    `json:"account,omitempty"`
	State     string    `json:"state,omitempty"`
	Final     bool      `json:"final,omitzero"`
	Sequence  int       `json:"sequence"`         // counts the events of one key
	Seen      []string  `json:"seen"`             // what there was about that key, with this one: no repeats
	Positions []uint64  `json:"places,omitempty"` // of those before this one
	At        time.Time `json:"at"`               // when the state was seen; in the log by the servers' clock, see store.Store.Now
	// Span is that of its recording, of which its deliveries are part; nil: there was none.
	Span *tracing.SpanContext `json:"span,omitempty"`

	// Key is the session, or the subscription that an operational event is about.
	Key      string    `json:"-"`
	Position uint64    `json:"-"` // in the log; 0: in none
	Recorded time.Time `json:"-"` // when it was recorded, by the servers' clock; zero: it is not kept any more
	Again    bool      `json:"-"` // a follower was handed it before
	Payload  []byte    `json:"-"` // the JSON object that is sent, without the document
}

// Operational reports whether an event is about a subscription.
func (e *Event) Operational() bool { return !IsOfSession(e.Type) }

// About is what subscriptions filter by.
func (e *Event) About() Subject { return Subject{e.Key, e.Endpoint, e.Account} }

// Last reports whether a session is not looked after any more with this event: it is
// over, or nobody knows it, or it took too long.
func (e *Event) Last() bool { return e.Final || e.Type == TypeNotFound || e.Type == TypeAbandoned }

// GivenUpAt is the position of an event with which a session was given up, else 0. More may
// come of it after that.
func (e *Event) GivenUpAt() uint64 {
	if e.Final || !e.Last() {
		return 0
	}
	return e.Position
}

// First is the position of the first event about the same key that is known.
func (e *Event) First() uint64 {
	if len(e.Positions) > 0 {
		return e.Positions[0]
	}
	return e.Position
}

// encode returns the header, a line break and the payload: so the payload stays byte for
// byte what it is.
func (e *Event) encode(ahead time.Duration) []byte {
	stored := *e
	stored.At = stored.At.Add(ahead)
	header, err := json.Marshal(&stored)
	if err != nil {
		panic(err) // our own type always has one
	}
	return slices.Concat(header, []byte{'\n'}, e.Payload)
}

func decode(entry store.Entry, ahead time.Duration) (*Event, error) {
	header, payload, found := bytes.Cut(entry.Value, []byte{'\n'})
	e := &Event{Key: entry.Key, Position: entry.Sequence, Recorded: entry.At, Again: entry.Again, Payload: payload}
	if err := json.Unmarshal(header, e); err != nil || !found {
		return nil, fmt.Errorf("%w: entry %d of the log of events", store.ErrDamaged, entry.Sequence)
	}
	e.At = e.At.Add(-ahead)
	return e, nil
}
