package session_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pollbridge/session"
)

// TestWrittenForm: what is stored keeps its form, or what earlier versions have stored could not be read.
func TestWrittenForm(t *testing.T) {
	o := &session.Observation{
		At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Answer: session.Answer{State: session.Refused, CallersFault: true, Localized: true, Code: 40020}, Locale: 1,
		Content: &session.Content{Status: 404, Header: []session.Field{{Name: []byte("A"), Value: []byte("b")}}, Body: []byte("body")},
	}
	const want = `{"at":"2026-01-02T03:04:05.000000006Z","state":"refused","callers_fault":true,"localized":true,"code":40020,"status":404,"header":[["QQ==","Yg=="]]}`
	text, err := json.Marshal(session.Write(nil, o))
	if err != nil || string(text) != want {
		t.Errorf("it is written %s, %v; want %s", text, err, want)
	}
	var read session.Written
	if err := json.Unmarshal([]byte(want), &read); err != nil {
		t.Fatal(err)
	}
	if got := read.Observation(1, []byte("body")); !reflect.DeepEqual(got, o) {
		t.Errorf("it is read %+v %+v; want %+v %+v", got, got.Content, o, o.Content)
	}
}
