package session_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"pollbridge/session"
)

// header is a session.Header for tests.
type header map[string][]string

func (h header) PeekAll(name string) [][]byte {
	var values [][]byte
	for _, v := range h[http.CanonicalHeaderKey(name)] {
		values = append(values, []byte(v))
	}
	return values
}

func table(t testing.TB, dialect string) *session.Table {
	t.Helper()
	endpoints, known := session.Dialect(dialect)
	if !known {
		t.Fatalf("Dialect(%q) is not known", dialect)
	}
	return newTable(t, endpoints...)
}

func newTable(t testing.TB, endpoints ...session.Endpoint) *session.Table {
	t.Helper()
	table, err := session.NewTable(endpoints)
	if err != nil {
		t.Fatalf("NewTable = %v", err)
	}
	return table
}

func bearerTable(t testing.TB) *session.Table {
	t.Helper()
	endpoint, err := session.NewEndpoint(session.EndpointConfig{
		Name: "document", Method: "GET", Path: "/document/{token}/check-status",
		Credential: "header:authorization", Status: "/data/document_status",
		Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	})
	if err != nil {
		t.Fatalf("NewEndpoint = %v", err)
	}
	return newTable(t, endpoint)
}

// read reads a request; nil means that it is no status request.
func read(table *session.Table, method, target, body string, h header) *session.Variant {
	path, query, _ := bytes.Cut([]byte(target), []byte("?"))
	match, ok := table.Match([]byte(method), path)
	if !ok {
		return nil
	}
	var r session.Request
	if !r.Read(match, session.Incoming{Query: query, Body: []byte(body), Header: h}) {
		return nil
	}
	v := r.Variant()
	if v.Key() != string(r.Key()) {
		panic("Variant().Key() is not Key()")
	}
	return v
}

const status = "/smartid/sign/status/"

func TestReadsWhatClientsSend(t *testing.T) {
	marksign, dokobit, bearer := table(t, "marksign"), table(t, "dokobit"), bearerTable(t)
	for _, c := range []struct {
		name                       string
		table                      *session.Table
		method, target, body       string
		header                     header
		wantTarget, wantBody       string
		wantLocale, wantCredential string
	}{
		{"a JSON body", marksign, "POST", status + "tok-1.json", `{"access_token":"secret"}`, nil,
			status + "tok-1.json", `{"access_token":"secret"}`, "lt", "secret"},
		{"English, with the token repeated as the PHP client does", marksign, "POST", "/en" + status + "tok-1.json", `{"token":"tok-1", "access_token" : "secret"}`, nil,
			"/en" + status + "tok-1.json", `{"access_token":"secret"}`, "en", "secret"},
		{"another token in the body stays", marksign, "POST", status + "tok-1.json", `{"token":"tok-2","access_token":"secret"}`, nil,
			status + "tok-1.json", `{"access_token":"secret","token":"tok-2"}`, "lt", "secret"},
		{"escapes are decoded once", marksign, "POST", status + "t.json", `{"access\u005ftoken":"s\u00e9\n"}`, nil,
			status + "t.json", `{"access_token":"sé\n"}`, "lt", "sé\n"},
		{"further members, sorted, digits kept", marksign, "POST", status + "t.json", `{"z":12345678901234567890,"access_token":"s","a":{"y":1,"x":[ 1.50 ]}}`, nil,
			status + "t.json", `{"access_token":"s","a":{"x":[1.50],"y":1},"z":12345678901234567890}`, "lt", "s"},
		{"further parameters, sorted", marksign, "POST", status + "t.json?b=2&a=1&b=1", `{"access_token":"s"}`, nil,
			status + "t.json?a=1&b=2&b=1", `{"access_token":"s"}`, "lt", "s"},
		{"a query", dokobit, "GET", status + "t.json?access_token=s%2Bx", "", nil,
			status + "t.json?access_token=s%2Bx", "", "", "s+x"},
		{"a query with more", dokobit, "GET", status + "t.json?x=&access_token=s&token=t", "", nil,
			status + "t.json?access_token=s&x=", "", "", "s"},
		{"a query, with the token repeated in a form as Dokobit's PHP client does", dokobit, "GET", status + "t.json?access_token=s", "token=t", nil,
			status + "t.json?access_token=s", "", "", "s"},
		{"a bearer token", bearer, "GET", "/document/42/check-status", "", header{"Authorization": {"bearer  abc"}},
			"/document/42/check-status", "", "", "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := read(c.table, c.method, c.target, c.body, c.header)
			if v == nil {
				t.Fatal("was not read as a status request")
			}
			if v.Target() != c.wantTarget || string(v.Body()) != c.wantBody {
				t.Errorf("asks the upstream %s %s; want %s %s", v.Target(), v.Body(), c.wantTarget, c.wantBody)
			}
			if got := v.Endpoint.Locales[v.Locale].Name; got != c.wantLocale || v.Credential != c.wantCredential {
				t.Errorf("locale %q, credential %q; want %q, %q", got, v.Credential, c.wantLocale, c.wantCredential)
			}
		})
	}
}

func TestBearerGoesUpstreamAsBearer(t *testing.T) {
	v := read(bearerTable(t), "GET", "/document/42/check-status", "", header{"Authorization": {"BEARER abc"}})
	if name, value := v.Header(); name != "Authorization" || value != "Bearer abc" {
		t.Errorf("Header = %q, %q; want Authorization, Bearer abc", name, value)
	}
}

// TestSameQuestionSameKey and its opposite below are promises 1 and 3 at their root.
func TestSameQuestionSameKey(t *testing.T) {
	marksign := table(t, "marksign")
	want := read(marksign, "POST", status+"tok.json", `{"access_token":"s","a":1,"b":{"c":"é"}}`, nil).Key()
	for _, body := range []string{
		`{"b":{"c":"é"},"a":1,"access_token":"s"}`,
		" {\n\"access_token\" : \"s\" ,\t\"a\": 1, \"b\":{ \"c\":\"\\u00e9\"} } \r\n",
		`{"access_token":"s","a":1,"b":{"c":"é"},"token":"tok"}`,
	} {
		if v := read(marksign, "POST", "/en"+status+"tok.json", body, nil); v == nil || v.Key() != want {
			t.Errorf("%s has a key of its own", body)
		}
	}
}

func TestOtherQuestionOtherKey(t *testing.T) {
	marksign := table(t, "marksign")
	seen := map[string]string{}
	for _, r := range [][2]string{
		{status + "t.json", `{"access_token":"s"}`},
		{status + "t.json", `{"access_token":"S"}`},
		{status + "t.json", `{"access_token":"s "}`},
		{status + "T.json", `{"access_token":"s"}`},
		{status + "ts.json", `{"access_token":"s"}`},
		{status + "t.json", `{"access_token":"ss"}`},
		{status + "t.json", `{"access_token":"s","token":"u"}`},
		{status + "t.json", `{"access_token":"s","n":12345678901234567890}`},
		{status + "t.json", `{"access_token":"s","n":12345678901234567000}`},
		{status + "t.json", `{"access_token":"s","n":1.0}`},
		{status + "t.json", `{"access_token":"s","n":1}`},
		{status + "t.json", `{"access_token":"s","n":"1"}`},
		{status + "t.json?n=1", `{"access_token":"s"}`},
		{"/mobile/sign/status/t.json", `{"access_token":"s"}`},
	} {
		v := read(marksign, "POST", r[0], r[1], nil)
		if v == nil {
			t.Fatalf("%s %s was not read", r[0], r[1])
		}
		if other, taken := seen[v.Key()]; taken {
			t.Errorf("%s %s shares the key of %s", r[0], r[1], other)
		}
		seen[v.Key()] = r[0] + " " + r[1]
	}
}

// TestPassesThroughWhatCanBeReadTwice holds the hostile bodies of promise 3.
func TestPassesThroughWhatCanBeReadTwice(t *testing.T) {
	marksign, dokobit, bearer := table(t, "marksign"), table(t, "dokobit"), bearerTable(t)
	good := `{"access_token":"s"}`
	for _, c := range []struct {
		name                 string
		table                *session.Table
		method, target, body string
		header               header
	}{
		{"duplicate name", marksign, "POST", status + "t.json", `{"access_token":"a","access_token":"b"}`, nil},
		{"duplicate name, escaped", marksign, "POST", status + "t.json", `{"access_token":"a","access\u005ftoken":"b"}`, nil},
		{"duplicate further name", marksign, "POST", status + "t.json", `{"access_token":"a","x":1,"x":2}`, nil},
		{"duplicate nested name", marksign, "POST", status + "t.json", `{"access_token":"a","x":{"y":1,"y":2}}`, nil},
		{"case variant beside", marksign, "POST", status + "t.json", `{"access_token":"a","Access_Token":"b"}`, nil},
		{"case variant alone", marksign, "POST", status + "t.json", `{"ACCESS_TOKEN":"a"}`, nil},
		{"case variant by Unicode folding", marksign, "POST", status + "t.json", `{"acceſs_token":"a"}`, nil},
		{"Kelvin sign", marksign, "POST", status + "t.json", "{\"access_to\u212aen\":\"a\"}", nil},
		{"invalid UTF-8", marksign, "POST", status + "t.json", "{\"access_token\":\"a\xff\"}", nil},
		{"invalid UTF-8 elsewhere", marksign, "POST", status + "t.json", "{\"access_token\":\"a\",\"x\":\"\xfe\"}", nil},
		{"lone surrogate", marksign, "POST", status + "t.json", `{"access_token":"\ud800"}`, nil},
		{"two documents", marksign, "POST", status + "t.json", good + good, nil},
		{"rubbish behind", marksign, "POST", status + "t.json", good + "x", nil},
		{"NUL behind", marksign, "POST", status + "t.json", good + "\x00", nil},
		{"BOM", marksign, "POST", status + "t.json", "\xef\xbb\xbf" + good, nil},
		{"UTF-16", marksign, "POST", status + "t.json", "{\x00\"\x00a\x00\"\x00", nil},
		{"array", marksign, "POST", status + "t.json", "[" + good + "]", nil},
		{"string", marksign, "POST", status + "t.json", `"access_token"`, nil},
		{"null", marksign, "POST", status + "t.json", `null`, nil},
		{"unfinished", marksign, "POST", status + "t.json", `{"access_token":"s"`, nil},
		{"trailing comma", marksign, "POST", status + "t.json", `{"access_token":"s",}`, nil},
		{"comment", marksign, "POST", status + "t.json", `{"access_token":"s"/**/}`, nil},
		{"number", marksign, "POST", status + "t.json", `{"access_token":1}`, nil},
		{"null credential", marksign, "POST", status + "t.json", `{"access_token":null}`, nil},
		{"empty credential", marksign, "POST", status + "t.json", `{"access_token":""}`, nil},
		{"no credential", marksign, "POST", status + "t.json", `{}`, nil},
		{"empty body", marksign, "POST", status + "t.json", ``, nil},
		{"form", marksign, "POST", status + "t.json", `access_token=s`, nil},
		{"too deep", marksign, "POST", status + "t.json", `{"access_token":"s","x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, nil},
		{"too large", marksign, "POST", status + "t.json", `{"access_token":"` + strings.Repeat("s", session.MaxBody) + `"}`, nil},
		{"a second credential in the query", marksign, "POST", status + "t.json?access_token=x", good, nil},
		{"a second credential that PHP reads", marksign, "POST", status + "t.json?access.token=x", good, nil},
		{"a second credential in Authorization", marksign, "POST", status + "t.json", good, header{"Authorization": {"Bearer x"}}},
		{"query: twice", dokobit, "GET", status + "t.json?access_token=a&access_token=b", "", nil},
		{"query: twice, escaped", dokobit, "GET", status + "t.json?access_token=a&access%5Ftoken=b", "", nil},
		{"query: case variant", dokobit, "GET", status + "t.json?access_token=a&Access_token=b", "", nil},
		{"query: array", dokobit, "GET", status + "t.json?access_token=a&access_token[]=b", "", nil},
		{"query: dotted", dokobit, "GET", status + "t.json?access_token=a&access.token=b", "", nil},
		{"query: semicolon", dokobit, "GET", status + "t.json?access_token=a;x=b", "", nil},
		{"query: bad escape", dokobit, "GET", status + "t.json?access_token=a%zz", "", nil},
		{"query: NUL", dokobit, "GET", status + "t.json?access_token=a%00b", "", nil},
		{"query: line break", dokobit, "GET", status + "t.json?access_token=a%0d%0aX:1", "", nil},
		{"query: empty", dokobit, "GET", status + "t.json?access_token=", "", nil},
		{"query: none", dokobit, "GET", status + "t.json", "", nil},
		{"query: empty parameter", dokobit, "GET", status + "t.json?access_token=a&&", "", nil},
		{"query: a body too", dokobit, "GET", status + "t.json?access_token=a", good, nil},
		{"query: a form with another token", dokobit, "GET", status + "t.json?access_token=a", "token=T", nil},
		{"query: a form with more", dokobit, "GET", status + "t.json?access_token=a", "token=t&x=1", nil},
		{"bearer: none", bearer, "GET", "/document/42/check-status", "", nil},
		{"bearer: empty", bearer, "GET", "/document/42/check-status", "", header{"Authorization": {"Bearer "}}},
		{"bearer: twice", bearer, "GET", "/document/42/check-status", "", header{"Authorization": {"Bearer a", "Bearer b"}}},
		{"bearer: another scheme", bearer, "GET", "/document/42/check-status", "", header{"Authorization": {"Basic YTpi"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if v := read(c.table, c.method, c.target, c.body, c.header); v != nil {
				t.Errorf("was read as a status request for %s %s", v.Target(), v.Body())
			}
		})
	}
}

func TestReadRecoversFromWhatItRefused(t *testing.T) {
	marksign := table(t, "marksign")
	match, _ := marksign.Match([]byte("POST"), []byte(status+"t.json"))
	var r session.Request
	for range 2 {
		if r.Read(match, session.Incoming{Body: []byte(`{"access_token":"a","x":`)}) {
			t.Fatal("an unfinished body was read")
		}
		if !r.Read(match, session.Incoming{Body: []byte(`{"access_token":"a"}`)}) {
			t.Fatal("a good body was not read after a bad one")
		}
	}
}

func BenchmarkRead(b *testing.B) {
	marksign := table(b, "marksign")
	path := []byte(status + "0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11.json")
	body := []byte(`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`)
	method := []byte("POST")
	var r session.Request
	b.ReportAllocs()
	for b.Loop() {
		match, _ := marksign.Match(method, path)
		if !r.Read(match, session.Incoming{Body: body}) {
			b.Fatal("not read")
		}
	}
}

func TestNamesThatDifferInCasePassThrough(t *testing.T) {
	marksign := table(t, "marksign")
	for body, want := range map[string]bool{
		`{"access_token":"s","lang":"a","Lang":"b"}`:                  false,
		`{"access_token":"s","x":{"lang":"a","LANG":"b"}}`:            false,
		`{"access_token":"s","x":[{"k":1},{"\u212A":2,"k":3}]}`:       false,
		`{"access_token":"s","x":[{"k":1},{"K":2}],"lang":"Lang"}`:    true,
		`{"access_token":"s","a":{"b":{"c":["a","A",{"d":"D"}]}}}`:    true,
		`{"access_token":"s","token":"other","lang":"Token","b":"B"}`: true,
	} {
		if got := read(marksign, "POST", status+"t.json", body, nil) != nil; got != want {
			t.Errorf("%s was read: %v, want %v", body, got, want)
		}
	}
}
