package session_test

import (
	"strings"
	"testing"

	"pollbridge/session"
)

func TestStartCalls(t *testing.T) {
	for dialect, want := range map[string]map[string]string{
		"marksign": {
			"/smartid/sign.json": "smartid-sign", "/smartid/sign/hash.json": "smartid-sign-hash", "/smartid/login.json": "smartid-auth",
			"/mobile/sign.json": "mobile-sign", "/mobile/sign/hash.json": "mobile-sign-hash", "/mobile/login.json": "mobile-auth",
			"/en/smartid/sign.json": "smartid-sign en", "/en/mobile/sign/hash.json": "mobile-sign-hash en", "/en/mobile/login.json": "mobile-auth en",
		},
		"dokobit": {
			"/smartid/sign.json": "smartid-sign", "/smartid/login.json": "smartid-auth",
			"/mobile/sign.json": "mobile-sign", "/mobile/sign/hash.json": "mobile-sign-hash",
			"/mobile/login.json": "mobile-auth", "/v2/mobile/login.json": "mobile-auth-v2",
			"/audkenniapp/sign.json": "audkenniapp-sign",
		},
		"elpako": {
			"/api/v1/smartid/sign.json": "smartid-sign", "/api/v1/smart-id/login.json": "smartid-auth",
			"/api/v1/mobile/sign.json": "mobile-sign", "/api/v1/mobile/login.json": "mobile-auth",
		},
	} {
		for path, name := range want {
			start, ok := table(t, dialect).Start([]byte("POST"), []byte(path))
			name, locale, _ := strings.Cut(name, " ")
			if !ok || start.Endpoint.Name != name || (locale == "en") != (start.Endpoint.Locales[start.Locale].Name == "en") {
				t.Errorf("%s: POST %s = %+v, %t; want %s %s", dialect, path, start, ok, name, locale)
			}
			if got := start.Endpoint.StartPath(start.Locale); got != path {
				t.Errorf("%s starts at %q, want %q", name, got, path)
			}
		}
	}
	marksign := table(t, "marksign")
	for _, line := range []string{
		"GET /smartid/sign.json", "post /smartid/sign.json", "POST /smartid/sign.json/", "POST //smartid/sign.json", "POST /smartid/%73ign.json",
		"POST /EN/smartid/sign.json", "POST /smartid/sign", "POST /smartid/sign/status/x.json", "POST ", "POST /api/v1/smartid/sign.json",
	} {
		method, path, _ := strings.Cut(line, " ")
		if _, ok := marksign.Start([]byte(method), []byte(path)); ok {
			t.Errorf("%s is a start call", line)
		}
	}
	if _, ok := bearerTable(t).Start([]byte("POST"), []byte("/document/sign")); ok || bearerTable(t).Endpoints()[0].StartPath(0) != "" {
		t.Error("a custom endpoint at a path of its own has a start call")
	}
}

func TestStartCallsOfCustomEndpoints(t *testing.T) {
	known := func(name, method string) session.Endpoint {
		return newEndpoint(t, func(c *session.EndpointConfig) {
			c.Name, c.Method, c.Path, c.Credential = name, method, "/mobile/status/{token}.json", "query:key"
		})
	}
	one := newTable(t, known("mine", "GET"))
	if start, ok := one.Start([]byte("POST"), []byte("/mobile/login.json")); !ok || start.Endpoint.Name != "mine" {
		t.Errorf("Start = %+v, %t; want mine", start, ok)
	}
	two := newTable(t, known("mine", "GET"), known("other", "POST"))
	if start, ok := two.Start([]byte("POST"), []byte("/mobile/login.json")); ok {
		t.Errorf("a call that could start sessions of two endpoints starts one of %s", start.Endpoint.Name)
	}
}

func TestStartAllocatesNothing(t *testing.T) {
	marksign := table(t, "marksign")
	method, path := []byte("POST"), []byte("/en/mobile/login.json")
	if n := testing.AllocsPerRun(100, func() { marksign.Start(method, path) }); n > 0 {
		t.Errorf("Start allocates %v times", n)
	}
}

// startAt is a start call of a dialect's first endpoint.
func startAt(t testing.TB, table *session.Table) session.Start {
	t.Helper()
	e := table.Endpoints()[0]
	return session.Start{Endpoint: e}
}

// inBody reads a body in pieces of a size.
func inBody(t testing.TB, body string, size int) (string, bool) {
	t.Helper()
	b := startAt(t, table(t, "marksign")).Credential(nil, nil)
	for rest := body; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		piece := []byte(rest[:min(size, len(rest))])
		if n, err := b.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		clear(piece) // it must not be kept
	}
	return b.Value()
}

func TestCredentialInTheBodyOfAStart(t *testing.T) {
	document := strings.Repeat("JVBERi0xLjQK", 30_000)
	for _, test := range []struct {
		name, body, want string // want is empty where there is no credential
	}{
		{"alone", `{"access_token":"abc"}`, "abc"},
		{"white space", " \r\n\t{ \"access_token\" \n:\t\"abc\" } \n", "abc"},
		{"after a document", `{"type":"pdf","pdf":{"files":[{"name":"a","content":"` + document + `"}]},"access_token":"abc"}`, "abc"},
		{"before a document", `{"access_token":"abc","content":"` + document + `","x":[1,2,{"y":"]}"}],"z":null}`, "abc"},
		{"escapes", `{"access\u005ftoken":"a\u00e9\"\\\n","x":"\\\"","y":{"z":"\\"}}`, "aé\"\\\n"},
		{"a decoy in a value", `{"x":"\"access_token\":\"no\"","y":{"access_token":"no"},"z":["access_token","no"],"access_token":"abc"}`, "abc"},
		{"numbers and literals", `{"a":1.5e3,"b":true,"c":null ,"access_token":"abc","d":-0}`, "abc"},
		{"empty object", `{}`, ""},
		{"empty", ``, ""},
		{"none", `{"token":"abc"}`, ""},
		{"nested only", `{"x":{"access_token":"abc"}}`, ""},
		{"twice", `{"access_token":"abc","access_token":"abc"}`, ""},
		{"in another case", `{"access_token":"abc","Access_Token":"no"}`, ""},
		{"folds alike", "{\"access_token\":\"abc\",\"acce\u017fs_to\u212aen\":\"no\"}", ""},
		{"folds alike, escaped", `{"access_token":"abc","\u0041CCE\u017fS_TO\u212aEN":"no"}`, ""},
		{"empty credential", `{"access_token":""}`, ""},
		{"empty, then another", `{"access_token":"","access_token":"abc"}`, ""},
		{"number", `{"access_token":1}`, ""},
		{"object", `{"access_token":{"a":1}}`, ""},
		{"null", `{"access_token":null}`, ""},
		{"invalid UTF-8", "{\"access_token\":\"a\xff\"}", ""},
		{"half a surrogate", `{"access_token":"\ud800"}`, ""},
		{"bad escape", `{"access_token":"\x"}`, ""},
		{"very long", `{"access_token":"` + strings.Repeat("a", 5000) + `"}`, ""},
		{"cut off", `{"access_token":"abc"`, ""},
		{"cut off in a document", `{"access_token":"abc","content":"` + document, ""},
		{"more behind", `{"access_token":"abc"}{}`, ""},
		{"array", `["access_token","abc"]`, ""},
		{"form", `access_token=abc`, ""},
		{"no comma", `{"access_token":"abc" "x":1}`, ""},
		{"comma at the end", `{"access_token":"abc",}`, ""},
		{"no colon", `{"access_token" "abc"}`, ""},
		{"no value", `{"access_token":"abc","x":}`, ""},
	} {
		for _, size := range []int{1, 2, 7, 4096, 1 << 20} {
			got, ok := inBody(t, test.body, size)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("%s, %d bytes at a time: Credential = %q, %t; want %q", test.name, size, got, ok, test.want)
			}
		}
	}
}

func TestStartBodyHoldsNoDocument(t *testing.T) {
	b := startAt(t, table(t, "marksign")).Credential(nil, nil)
	piece := []byte(strings.Repeat(`a\n"b`, 7000)[:32<<10])
	b.Write([]byte(`{"x":["`))
	b.Write(piece)
	if n := testing.AllocsPerRun(100, func() { b.Write(piece) }); n > 0 {
		t.Errorf("a piece of a document allocates %v times", n)
	}
}

func TestCredentialOutsideOfTheBody(t *testing.T) {
	dokobit, marksign := startAt(t, table(t, "dokobit")), startAt(t, table(t, "marksign"))
	bearer := startAt(t, bearerTable(t))
	for _, test := range []struct {
		start  session.Start
		query  string
		header header
		want   string
	}{
		{dokobit, "access_token=a%2Bb", nil, "a+b"},
		{dokobit, "x=1&access_token=a&token=t", header{}, "a"},
		{dokobit, "", nil, ""},
		{dokobit, "access_token=a&access_token=b", nil, ""},
		{dokobit, "access_token=a&Access_Token=b", nil, ""},
		{dokobit, "access_token=a", header{"Authorization": {"Bearer b"}}, ""},
		{marksign, "access_token=a", nil, ""},
		{bearer, "", header{"Authorization": {"Bearer abc"}}, "abc"},
		{bearer, "", header{"Authorization": {"Bearer abc", "Bearer abc"}}, ""},
		{bearer, "", nil, ""},
	} {
		got, ok := test.start.Credential([]byte(test.query), test.header).Value()
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s?%s %v: Credential = %q, %t; want %q", test.start.Endpoint.Name, test.query, test.header, got, ok, test.want)
		}
	}
	for name, c := range map[string]*session.StartCredential{
		"it stands in the query":              dokobit.Credential(nil, nil),
		"it stands in the header":             bearer.Credential(nil, nil),
		"there is a second one in the query":  marksign.Credential([]byte("access_token=b"), nil),
		"there is a second one in the header": marksign.Credential(nil, header{"Authorization": {"Bearer b"}}),
	} {
		c.Write([]byte(`{"access_token":"a"}`))
		if got, ok := c.Value(); ok {
			t.Errorf("%s, and the body is read for one: %q", name, got)
		}
	}
}

func TestAnswersOfStarts(t *testing.T) {
	marksign := startAt(t, table(t, "marksign"))
	custom := startAt(t, newTable(t, newEndpoint(t, func(c *session.EndpointConfig) {
		c.Path, c.Status, c.Succeeded = "/mobile/status/{token}.json", "/data/state", []string{"done"}
	})))
	for _, test := range []struct {
		start  session.Start
		status int
		body   string
		want   string
	}{
		{marksign, 200, `{"status":"ok","token":"T-1_x","control_code":"9269"}`, "T-1_x"},
		{marksign, 201, "\xef\xbb\xbf" + ` {"token":"t","x":{"token":"no"},"status":"ok"} `, "t"},
		{custom, 200, `{"data":{"state":"ok"},"token":"t"}`, "t"},
		{custom, 200, `{"data":{"state":"done"},"token":"t"}`, "t"},
		{custom, 200, `{"status":"ok","token":"t"}`, ""},
		{marksign, 200, `{"status":"error","token":"t","error_code":40020}`, ""},
		{marksign, 200, `{"status":"waiting","token":"t"}`, ""},
		{marksign, 200, `{"token":"t"}`, ""},
		{marksign, 200, `{"status":"ok"}`, ""},
		{marksign, 200, `{"status":"ok","token":5}`, ""},
		{marksign, 200, `{"status":"ok","token":null}`, ""},
		{marksign, 200, `{"status":"ok","token":""}`, ""},
		{marksign, 200, `{"status":"ok","token":"a/b"}`, ""},
		{marksign, 200, `{"status":"ok","token":"` + strings.Repeat("a", 129) + `"}`, ""},
		{marksign, 200, `{"status":"ok","token":"t","token":"u"}`, ""},
		{marksign, 200, `{"status":"ok","token":"t"`, ""},
		{marksign, 200, `<html>`, ""},
		{marksign, 302, `{"status":"ok","token":"t"}`, ""},
		{marksign, 400, `{"status":"ok","token":"t"}`, ""},
		{marksign, 500, `{"status":"ok","token":"t"}`, ""},
	} {
		got, ok := test.start.ReadToken(test.status, []byte(test.body))
		if ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%d %s: ReadToken = %q, %t; want %q", test.status, test.body, got, ok, test.want)
		}
	}
}

// TestStartedSessionsAreAskedForAsClientsDo: or the watch and the client would each
// make polls of their own.
func TestStartedSessionsAreAskedForAsClientsDo(t *testing.T) {
	start := startAt(t, table(t, "marksign"))
	v, err := start.Variant("tok", "secret")
	if err != nil {
		t.Fatal(err)
	}
	client := read(table(t, "marksign"), "POST", status+"tok.json", `{"access_token":"secret","token":"tok"}`, nil)
	if v.Key() != client.Key() || v.Target() != client.Target() {
		t.Errorf("asked for by %q at %s, clients ask by %q at %s", v.Key(), v.Target(), client.Key(), client.Target())
	}
	if _, err := start.Variant("a/b", "secret"); err == nil {
		t.Error("a token with a slash is accepted")
	}
	if _, err := start.Variant("tok", ""); err == nil {
		t.Error("no credential is accepted")
	}
}
