package session_test

import (
	"strings"
	"testing"

	"pollbridge/session"
)

// TestIgnoredQueryFields: a field that only makes a request another one is not part of
// the question, and not sent; a credential's never is ignored.
func TestIgnoredQueryFields(t *testing.T) {
	read := func(dialect, query, body string, ignored ...string) *session.Variant {
		t.Helper()
		endpoints, _ := session.Dialect(dialect)
		table, err := session.NewTable(endpoints, ignored...)
		if err != nil {
			t.Fatal(err)
		}
		e := table.Endpoints()[0]
		match, ok := table.Match([]byte(e.Method), []byte(e.Path(0, "t")))
		var r session.Request
		if !ok || !r.Read(match, session.Incoming{Query: []byte(query), Body: []byte(body)}) {
			return nil
		}
		return r.Variant()
	}
	plain := read("dokobit", "access_token=a", "", "_")
	for _, query := range []string{"access_token=a&_=1700000000", "_=1&access_token=a", "%5F=1&access_token=a&_=2", "_&access_token=a", "access_token=a&_"} {
		v := read("dokobit", query, "", "_")
		if v == nil || v.Key() != plain.Key() || v.Target() != plain.Target() {
			t.Errorf("%s is another question than without the ignored field", query)
		}
	}
	for _, query := range []string{"access_token=a&__=1", "access_token=a&x=1"} {
		if v := read("dokobit", query, "", "_"); v == nil || v.Key() == plain.Key() {
			t.Errorf("%s is the same question as without the field", query)
		}
	}
	if v := read("dokobit", "access_token=a", "", "access_token", "Access.Token"); v == nil || v.Credential != "a" {
		t.Error("the credential was ignored")
	}
	const body = `{"access_token":"a"}`
	if v := read("marksign", "_=1", body, "_"); v == nil || !strings.Contains(v.Target(), "_=1") {
		t.Error("a field was ignored at an endpoint that takes the credential from the body")
	}

	// What was stored before a field was ignored goes on.
	before := read("dokobit", "access_token=a&_=1&x=2", "")
	endpoints, _ := session.Dialect("dokobit")
	table, _ := session.NewTable(endpoints, "_")
	after, err := table.ReadDurable(before.AppendDurable(nil))
	if err != nil || strings.Contains(after.Target(), "_=") || !strings.Contains(after.Target(), "x=2") {
		t.Errorf("ReadDurable = %v; want the variant without the ignored field", err)
	}
}
