package session

import "time"

// Written is an observation in a form that another process can read, as JSON, but for its body.
type Written struct {
	At           time.Time `json:"at"`
	State        string    `json:"state"`
	CallersFault bool      `json:"callers_fault,omitempty"`
	WrittenHead
	Variant []byte `json:"variant,omitempty"` // what was asked, in its durable form; not known of all
}

// WrittenHead is what an answer has besides its state and its body, as JSON.
type WrittenHead struct {
	Localized bool        `json:"localized,omitempty"`
	Code      int32       `json:"code,omitempty"`
	Status    int         `json:"status"`
	Header    [][2][]byte `json:"header,omitempty"`
}

// WriteHead writes what an observation has of it. It shares the memory of the fields.
func WriteHead(o *Observation) WrittenHead {
	w := WrittenHead{Localized: o.Localized, Code: o.Code, Status: o.Status}
	for _, field := range o.Header {
		w.Header = append(w.Header, [2][]byte{field.Name, field.Value})
	}
	return w
}

// Content is what was written, with a body; it shares the memory of both.
func (w WrittenHead) Content(body []byte) *Content {
	c := &Content{Status: w.Status, Body: body}
	for _, field := range w.Header {
		c.Header = append(c.Header, Field{Name: field[0], Value: field[1]})
	}
	return c
}

// Write writes an observation, and what was asked, which may be nil.
func Write(v *Variant, o *Observation) Written {
	w := Written{At: o.At.UTC(), State: o.State.String(), CallersFault: o.CallersFault, WrittenHead: WriteHead(o)}
	if v != nil {
		w.Variant = v.AppendDurable(nil)
	}
	return w
}

// Observation is what was written, with a body, which it shares.
func (w Written) Observation(locale int, body []byte) *Observation {
	return &Observation{
		At:      w.At,
		Answer:  Answer{State: StateNamed(w.State), CallersFault: w.CallersFault, Localized: w.Localized, Code: w.Code},
		Locale:  int32(locale),
		Content: w.Content(body),
	}
}
