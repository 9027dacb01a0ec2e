package session_test

import (
	"strings"
	"testing"

	"pollbridge/session"
)

// wantReadAsParsed wants a body to be read as the parser reads it, which is asked as
// soon as anything is escaped.
func wantReadAsParsed(t *testing.T, table *session.Table, body string) {
	t.Helper()
	escaped := strings.Replace(body, `"access_token"`, `"\u0061ccess_token"`, 1)
	got, want := read(table, "POST", status+"tok.json", body, nil), read(table, "POST", status+"tok.json", escaped, nil)
	switch {
	case got == nil && want == nil:
	case got == nil || want == nil:
		t.Errorf("%s: read is %t; want %t", body, got != nil, want != nil)
	case got.Key() != want.Key() || got.Credential != want.Credential:
		t.Errorf("%s is read as the credential %q; want %q", body, got.Credential, want.Credential)
	}
}

func TestPlainBodiesAreReadAsParsed(t *testing.T) {
	marksign := table(t, "marksign")
	for _, body := range []string{
		`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`, " \t\r\n{ \"access_token\" :\n\"a b\"\t}\r\n", `{"access_token":""}`,
		`{"access_token":"~ !#'{}[],:"}`, `{"access_token":"a\u0062"}`, `{"access_token":"a\""}`, `{"access_token":"a\\"}`, `{"access_token":"a\"`,
		"{\"access_token\":\"a\x7f\"}", "{\"access_token\":\"a\n\"}", "{\"access_token\":\"a\x00\"}", `{"access_token":"ą"}`, "{\"access_token\":\"\xff\"}",
		`{"access_token":"a"`, `{"access_token":"a`, `{"access_token":`, `{"access_token"`, `{"access_token`, `{`, ``, ` `, `"access_token":"a"}`,
		`{"access_token":"a"}}`, `{"access_token":"a"}x`, `{"access_token":"a"},`, `{"access_token":"a",}`, `{,"access_token":"a"}`, `{{"access_token":"a"}`,
		`{"access_token":"a","access_token":"b"}`, `{"access_token":"a","x":"b"}`, `{"x":"b","access_token":"a"}`, `{"access_token":"a" "b"}`,
		`{"Access_token":"a"}`, `{"access_token ":"a"}`, `{"access_token"::"a"}`, `{"access_token" "a"}`, `{'access_token':'a'}`, "{\"access_token\"\v:\"a\"}",
		`{"access_token":a}`, `{"access_token":1}`, `{"access_token":null}`, `{"access_token":["a"]}`, `["access_token","a"]`,
	} {
		wantReadAsParsed(t, marksign, body)
	}
}

// A configured name may look like an escaped one in a body, and is another.
func TestCredentialWithABackslashInItsName(t *testing.T) {
	endpoint, err := session.NewEndpoint(session.EndpointConfig{
		Name: "odd", Method: "POST", Path: "/odd/{token}", Credential: `body:a\u0062`,
		Status: "/status", Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	})
	if err != nil {
		t.Fatalf("NewEndpoint = %v", err)
	}
	if v := read(newTable(t, endpoint), "POST", "/odd/tok", `{"a\u0062":"s"}`, nil); v != nil {
		t.Errorf("the member ab was taken for the credential: %q", v.Credential)
	}
}
