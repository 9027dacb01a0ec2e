package store

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"pollbridge/session"
)

// written is an observation as it is stored, but for its body, which follows.
type written struct {
	At           time.Time   `json:"at"`
	State        string      `json:"state"`
	CallersFault bool        `json:"callers_fault,omitempty"`
	Localized    bool        `json:"localized,omitempty"`
	Code         int32       `json:"code,omitempty"`
	Status       int         `json:"status"`
	Header       [][2][]byte `json:"header,omitempty"`
}

// appendHead appends all of an observation that stands before its body.
func appendHead(dst []byte, o *session.Observation) []byte {
	w := written{
		At: o.At.UTC(), State: o.State.String(), CallersFault: o.CallersFault, Localized: o.Localized, Code: o.Code,
		Status: o.Status,
	}
	for _, field := range o.Header {
		w.Header = append(w.Header, [2][]byte{field.Name, field.Value})
	}
	head, _ := json.Marshal(w) // a time of this age can be written
	dst = binary.AppendUvarint(dst, uint64(len(head)))
	return append(dst, head...)
}

// readObservation reads what stands in front of a body, which is the rest of content
// and which the observation shares. The error is ErrDamaged.
func readObservation(content []byte, locale int) (*session.Observation, error) {
	size, n := binary.Uvarint(content)
	if n <= 0 || size > uint64(len(content)-n) {
		return nil, ErrDamaged
	}
	head, body := content[n:n+int(size)], content[n+int(size):]
	var w written
	if err := json.Unmarshal(head, &w); err != nil {
		return nil, ErrDamaged
	}
	o := &session.Observation{
		At:      w.At,
		Answer:  session.Answer{State: session.StateNamed(w.State), CallersFault: w.CallersFault, Localized: w.Localized, Code: w.Code},
		Locale:  int32(locale),
		Content: &session.Content{Status: w.Status, Body: body},
	}
	for _, field := range w.Header {
		o.Header = append(o.Header, session.Field{Name: field[0], Value: field[1]})
	}
	return o, nil
}
