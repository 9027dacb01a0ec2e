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
	Variant      []byte      `json:"variant,omitempty"` // what was asked, in its durable form; not known of all
}

// appendHead appends all of an observation that stands before its body, and what was asked,
// which may be nil.
func appendHead(dst []byte, v *session.Variant, o *session.Observation) []byte {
	w := written{
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

// readObservation reads what stands in front of a body, which is the rest of content
// and which the observation shares. The error is ErrDamaged.
func readObservation(content []byte, locale int) (*session.Observation, error) {
	w, body, err := readHead(content)
	if err != nil {
		return nil, err
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

func readHead(content []byte) (w written, body []byte, err error) {
	size, n := binary.Uvarint(content)
	if n <= 0 || size > uint64(len(content)-n) {
		return w, nil, ErrDamaged
	}
	head, body := content[n:n+int(size)], content[n+int(size):]
	if err := json.Unmarshal(head, &w); err != nil {
		return w, nil, ErrDamaged
	}
	return w, body, nil
}
