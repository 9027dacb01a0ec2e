package session_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pollbridge/session"
)

// FuzzRequest: whatever is read as a status request goes upstream in a form that can
// be read in one way only.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"secret"}`, `{"token":"tok","access_token":"s"}`, `{"access\u005ftoken":"s\u00e9\n"}`,
		`{"z":12345678901234567890,"access_token":"s","a":{"y":1,"x":[ 1.50 ]}}`, `{"access_token":"a","Access_Token":"b"}`,
		`{"access_token":"a","access_token":"b"}`, `{"acceſs_token":"a"}`, "{\"access_to\u212aen\":\"a\",\"access_token\":\"b\"}", "{\"access_token\":\"a\xff\"}",
		`{"access_token":"\ud800"}`, `{"access_token":"\ud83d\ude00"}`, `{"access_token":"a"}{"access_token":"b"}`, "\xef\xbb\xbf" + `{"access_token":"a"}`,
		`{"access_token":"a","":1," ":2,"token":"other","x":-0,"y":1e400}`, `{"access_token":"<&>\u2028\u0000"}`, `{}`, ``, `[]`, `null`,
		`{"access_token\u0000":"b","access_token":"a"}`, `{"access_token":"a","x":{"access_token":"b"}}`,
	} {
		f.Add([]byte(body), []byte("access_token=s%2Bx&x=1"), []byte("Bearer abc"))
	}
	for _, query := range []string{
		"", "access_token=a", "b=2&a=1&b=1", "access_token=a&access_token=b", "access.token=x", "access_token[]=x", "Access_Token=x", "access_token=a;x=b",
		"access_token=a%zz", "access_token=%C4%85&x=%ff", "x=+&y=%20&=", "token=tok&access_token=a", "%61ccess_token=a&+access_token=b", "access_token=a&&",
		"access_token=a&x", "access token=a", "access%5Btoken=a",
	} {
		f.Add([]byte(`{"access_token":"secret"}`), []byte(query), []byte("bearer  a b "))
	}
	for _, authorization := range []string{"", "Bearer", "Bearer ", "BEARER x", "Basic x", "Bearer a, Bearer b", "Bearer\tx", "Bearer \t"} {
		f.Add([]byte(``), []byte(`x=1`), []byte(authorization))
	}
	marksign, dokobit, bearer := table(f, "marksign"), table(f, "dokobit"), bearerTable(f)
	f.Fuzz(func(t *testing.T, body, query, authorization []byte) {
		if v := reread(t, marksign, "POST", status+"tok.json", query, body, nil); v != nil {
			wantOneCredential(t, v)
		}
		if v := reread(t, dokobit, "GET", status+"tok.json", query, nil, nil); v != nil {
			wantOneParameter(t, v)
		}
		h := header{"Authorization": {string(authorization)}}
		if v := reread(t, bearer, "GET", "/document/tok/check-status", query, nil, h); v != nil {
			if _, value := v.Header(); value != "Bearer "+v.Credential || v.Credential == "" {
				t.Errorf("%q goes upstream as %q", authorization, value)
			}
		}
	})
}

// reread reads a request, then what it became, and wants both to be one question.
func reread(t *testing.T, table *session.Table, method, path string, query, body []byte, h header) *session.Variant {
	given := string(body)
	v := read(table, method, path+"?"+string(query), string(body), h)
	if string(body) != given {
		t.Error("reading a body changed it")
	}
	if v == nil {
		return nil
	}
	if name, value := v.Header(); name != "" {
		h = header{name: {value}}
	}
	again := read(table, method, v.Target(), string(v.Body()), h)
	if again == nil {
		t.Fatalf("%s %s was read, but not %s %s, which it became", query, body, v.Target(), v.Body())
	}
	if again.Key() != v.Key() || again.Credential != v.Credential || again.Target() != v.Target() || !bytes.Equal(again.Body(), v.Body()) {
		t.Fatalf("%s %s\nbecame %s %s\nthen   %s %s", query, body, v.Target(), v.Body(), again.Target(), again.Body())
	}
	if gotPath, _, _ := strings.Cut(v.Target(), "?"); gotPath != path {
		t.Errorf("asks the upstream at %s; want %s", gotPath, path)
	}
	return v
}

// wantOneCredential reads the body as other programs do.
func wantOneCredential(t *testing.T, v *session.Variant) {
	var careless struct {
		Credential string `json:"access_token"`
	}
	if err := json.Unmarshal(v.Body(), &careless); err != nil || careless.Credential != v.Credential {
		t.Errorf("encoding/json reads %q, %v in %s; want %q", careless.Credential, err, v.Body(), v.Credential)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(v.Body(), &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if strings.EqualFold(name, "access_token") && name != "access_token" {
			t.Errorf("a careless reader finds %q in %s", name, v.Body())
		}
	}
	parameters(t, v, "")
}

// wantOneParameter reads the query as other programs do.
func wantOneParameter(t *testing.T, v *session.Variant) {
	if got := parameters(t, v, "access_token")["access_token"]; len(got) != 1 || got[0] != v.Credential {
		t.Errorf("the query of %s holds %q; want %q", v.Target(), got, v.Credential)
	}
	if len(v.Body()) > 0 {
		t.Errorf("a GET has the body %s", v.Body())
	}
}

// parameters parses v's query and wants no name but one that some server might take
// for the credential's.
func parameters(t *testing.T, v *session.Variant, but string) url.Values {
	_, query, _ := strings.Cut(v.Target(), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatalf("url.ParseQuery(%s) = %v", query, err)
	}
	for name := range values {
		if name != but && strings.EqualFold(phpName(name), "access_token") {
			t.Errorf("some server might take %q in %s for the credential", name, v.Target())
		}
	}
	return values
}

// phpName is the variable that PHP makes of a parameter: leading spaces go, what
// stands before the first bracket counts, and what cannot stand in a name becomes _.
func phpName(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	if open := strings.IndexByte(name, '['); open >= 0 && strings.IndexByte(name[open:], ']') >= 0 {
		name = name[:open]
	}
	return strings.NewReplacer(".", "_", " ", "_", "[", "_").Replace(name)
}

// FuzzAnswer: no answer ends a session unless it says so in a documented way.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"status":"waiting"}`, `{"status":"ok","file":{"name":"a.pdf","content":"eA=="}}`, `{"status":"error","message":"m","error_code":40402}`,
		`{"status":"error","error_code":"40020"}`, `{"status":"ok","status":"waiting"}`, "\xef\xbb\xbf" + `{"status":"ok"}`, `{"status":"ok"}{"status":"ok"}`,
		"{\"x\":\"\xff\",\"status\":\"ok\"}", `{"st\u0061tus":"o\u006b"}`, `{"x":{"status":"ok"}}`, `<html>`, `[]`, ``, `{"status":"error","error_code":5e4}`,
		`{"data":{"status":"signed","error_code":40021}}`, `{"data":{"status":"signed"},"data":{}}`, `{"status":null,"error_code":null,"message":null}`,
		`{"status":"error","error_code":40020.0}`, `{"status":"ok"} x`, `{"a":"\ud800","status":"error","error_code":50000}`,
	} {
		for _, status := range []int{200, 302, 404, 429, 503} {
			f.Add(status, []byte(body))
		}
	}
	nested := format(f, session.EndpointConfig{Status: "/data/status", Code: "/data/error_code", Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"}})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		given := string(body)
		for _, format := range []*session.AnswerFormat{coded(), nested} {
			got, err := format.Read(status, body)
			if again, err2 := format.Read(status, body); again != got || fmt.Sprint(err) != fmt.Sprint(err2) || string(body) != given {
				t.Fatalf("read once %+v, %v; read again %+v, %v", got, err, again, err2)
			}
			if err != nil && got != (session.Answer{}) {
				t.Errorf("%v comes with %+v", err, got)
			}
			if got.State.Final() || got.State == session.NotFound {
				wantReason(t, format == nested, status, body, got)
			}
		}
	})
}

// wantReason checks with another reader that an answer says what was read in it.
func wantReason(t *testing.T, nested bool, status int, body []byte, got session.Answer) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &members); err != nil {
		t.Fatalf("%s was read in %q, which is no JSON object: %v", got.State, body, err)
	}
	succeeded, failed := "ok", "error"
	if nested {
		succeeded, failed = "signed", "failed"
		inner := members["data"]
		members = nil
		if err := json.Unmarshal(inner, &members); err != nil {
			t.Fatalf("%s was read in %q: %v", got.State, body, err)
		}
	}
	var text string
	if err := json.Unmarshal(members["status"], &text); err != nil {
		t.Fatalf("%s was read in %q: %v", got.State, body, err)
	}
	documented := map[int]session.State{
		40020: session.Refused, 40021: session.Expired, 40022: session.Failed, 40401: session.Failed, 40402: session.NotFound,
		40403: session.Failed, 40801: session.Expired, 50003: session.Failed, 50004: session.Failed,
	}
	state, known := documented[int(got.Code)]
	switch {
	case status < 200, 300 <= status && status < 400, (status >= 500 || status == 429) && !known:
	case text == succeeded && got.State == session.Succeeded:
		return
	case text == failed && known && got.State == state:
		return
	case text == failed && nested && !known && got.State == session.Failed:
		return
	}
	t.Errorf("%+v was read in %d %q", got, status, body)
}

var allowed = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// FuzzMatch: a path that matches is the path that is asked for, byte for byte.
func FuzzMatch(f *testing.F) {
	for _, path := range []string{
		status + "t.json", "/en" + status + "t.json", "/mobile/status/A_z-9.json", "/api/v1/mobile/sign/status/t.json", "/x/t", "/x/hash/t", "/document/t/check-status",
		status + "a%2Fb.json", status + "../x.json", status + "a.json.json", status + ".json", "/smartid/sign/%73tatus/t.json", "//smartid/sign/status/t.json",
		status + "t.JSON", status + "t.json/", "", "/", status + strings.Repeat("a", 129) + ".json", status + "a\x00.json", "/x/", "/x/check-status",
	} {
		f.Add("POST", []byte(path))
		f.Add("GET", []byte(path))
	}
	tables := []*session.Table{
		table(f, "marksign"), table(f, "dokobit"), table(f, "elpako"), bearerTable(f),
		newTable(f,
			newEndpoint(f, func(c *session.EndpointConfig) { c.Name, c.Path = "outer", "/x/{token}" }),
			newEndpoint(f, func(c *session.EndpointConfig) { c.Name, c.Path = "inner", "/x/hash/{token}" }),
			newEndpoint(f, func(c *session.EndpointConfig) { c.Name, c.Path = "suffix", "/x/{token}-y" })),
	}
	f.Fuzz(func(t *testing.T, method string, path []byte) {
		for _, table := range tables {
			m, ok := table.Match([]byte(method), path)
			if !ok {
				continue
			}
			if !allowed.Match(m.Token) {
				t.Errorf("%q matches with the token %q", path, m.Token)
			}
			if got := m.Endpoint.Path(m.Locale, string(m.Token)); got != string(path) {
				t.Errorf("%q is asked for at %q", path, got)
			}
			if m.Endpoint.Method != method {
				t.Errorf("%s matches an endpoint of %s", method, m.Endpoint.Method)
			}
		}
	})
}
