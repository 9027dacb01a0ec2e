package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// Written is an observation in a form that another process can read, but for its body, which
// follows.
type Written struct {
	At           time.Time   `json:"at"`
	State        string      `json:"state"`
	CallersFault bool        `json:"callers_fault,omitempty"`
	Localized    bool        `json:"localized,omitempty"`
	Code         int32       `json:"code,omitempty"`
	Status       int         `json:"status"`
	Header       [][2][]byte `json:"header,omitempty"`
	Variant      []byte      `json:"variant,omitempty"` // what was asked, in its durable form; not known of all
}

// errWritten is the error of all that was not written so.
var errWritten = errors.New("session: not the written form of an observation")

// AppendHead appends all of an observation that stands before its body, and what was asked,
// which may be nil.
func AppendHead(dst []byte, v *Variant, o *Observation) []byte {
	w := Written{
		At: o.At.UTC(), State: o.State.String(), CallersFault: o.CallersFault, Localized: o.Localized, Code: o.Code,
		Status: o.Status,
	}
	if v != nil {
		w.Variant = v.AppendDurable(nil)
	}
	for _, field := range o.Header {
		w.Header = append(w.Header, [2][]byte{field.Name, field.Value})
	}
	head, _ := json.Marshal(w) // a time of this age can be written
	dst = binary.AppendUvarint(dst, uint64(len(head)))
	return append(dst, head...)
}

// ReadObservation reads what AppendHead wrote in front of a body, which is the rest of content
// and which the observation shares.
func ReadObservation(content []byte, locale int) (*Observation, error) {
	w, body, err := ReadHead(content)
	if err != nil {
		return nil, err
	}
	o := &Observation{
		At:      w.At,
		Answer:  Answer{State: StateNamed(w.State), CallersFault: w.CallersFault, Localized: w.Localized, Code: w.Code},
		Locale:  int32(locale),
		Content: &Content{Status: w.Status, Body: body},
	}
	for _, field := range w.Header {
		o.Header = append(o.Header, Field{Name: field[0], Value: field[1]})
	}
	return o, nil
}

// ReadHead reads what AppendHead wrote, and returns what follows it.
func ReadHead(content []byte) (w Written, body []byte, err error) {
	size, n := binary.Uvarint(content)
	if n <= 0 || size > uint64(len(content)-n) {
		return w, nil, errWritten
	}
	head, body := content[n:n+int(size)], content[n+int(size):]
	if err := json.Unmarshal(head, &w); err != nil {
		return w, nil, errWritten
	}
	return w, body, nil
}
