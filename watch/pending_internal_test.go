package watch

import (
	"encoding/binary"
	"testing"
	"time"

	"pollbridge/session"
)

// TestPendingForm: a pending answer is stored in the form in which it is read from earlier versions.
func TestPendingForm(t *testing.T) {
	v := &session.Variant{Endpoint: &session.Endpoint{Locales: []session.Locale{{}, {Name: "en"}}}}
	o := &session.Observation{
		At: time.Unix(1, 2), Answer: session.Answer{State: session.Pending, Localized: true, Code: 7}, Locale: 1,
		Content: &session.Content{Status: 200, Header: []session.Field{{Name: []byte("A"), Value: []byte("b")}}, Body: []byte("body")},
	}
	const want = `{"locale":"en","localized":true,"code":7,"status":200,"header":[["QQ==","Yg=="]],"body":"Ym9keQ=="}`
	encoded := appendPending(nil, v, o)
	size, n := binary.Uvarint(encoded)
	at, m := binary.Varint(encoded[n:])
	if text := string(encoded[n+m:]); int(size) != len(encoded)-n || at != o.At.UnixNano() || text != want {
		t.Errorf("it is stored as %d bytes of %d: %s; want %s", size, at, text, want)
	}
}
