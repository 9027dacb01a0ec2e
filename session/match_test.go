package session_test

import (
	"strings"
	"testing"

	"pollbridge/session"
)

// TestOneSpellingOnly: whatever a path could be taken for, only one spelling is a
// status request.
func TestOneSpellingOnly(t *testing.T) {
	marksign := table(t, "marksign")
	for _, path := range []string{
		// a token that somebody could decode, normalise or cut
		status + "a%2Fb.json", status + "..%2f..%2fx.json", status + "a%00b.json", status + "a;x=1.json", status + "a%0d%0aX:1.json",
		status + "a%zz.json", status + `a\b.json`, status + "%61bc.json", status + "a.json.json", status + ".json", status + "..json",
		status + "a/b.json", status + "./a.json", status + "a/../b.json", status + "a b.json", status + "a+b.json", status + "a\x00.json",
		status + "a\r\n.json", status + "a\x7f.json", status + "ą.json", status + "a=b.json", status + "a,b.json", status + "~a.json", status + "a'b.json",
		status + "{token}.json", status + strings.Repeat("a", 129) + ".json", status + strings.Repeat("a", 100_000) + ".json",
		// other spellings of the rest
		"//smartid/sign/status/t.json", "/x/../smartid/sign/status/t.json", "/./smartid/sign/status/t.json", "/smartid/sign/%73tatus/t.json",
		"/smartid//sign/status/t.json", "/SMARTID/sign/status/t.json", status + "t.JSON", status + "t.json/", status + "t%2ejson", status + "t",
		status + "t.json.", status + "t.json%20", status + "t.json?x=1", status + "t.json#x", "smartid/sign/status/t.json", "", "/", "*",
		"http://host/smartid/sign/status/t.json", "/smartid/sign/status", "/smartid/sign/status/", "/smartid/sign/status.json",
		"/EN/smartid/sign/status/t.json", "/en//smartid/sign/status/t.json", "/en/en/smartid/sign/status/t.json", "/lt/smartid/sign/status/t.json",
		"/smartid/en/sign/status/t.json", "/smartid/sign/hash/status/x/t.json", "/smartid/sign.json",
	} {
		if m, ok := marksign.Match([]byte("POST"), []byte(path)); ok {
			t.Errorf("%.100q matches %s with the token %q", path, m.Endpoint.Name, m.Token)
		}
	}
	for _, method := range []string{"GET", "post", "HEAD", "PUT", "OPTIONS", "", "POST "} {
		if _, ok := marksign.Match([]byte(method), []byte(status+"t.json")); ok {
			t.Errorf("the method %q matches", method)
		}
	}
}

func TestEveryPathOfEveryDialect(t *testing.T) {
	tokens := []string{"t", "0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11", "A_z-9", "-", strings.Repeat("a", 128)}
	for _, name := range session.Dialects() {
		for _, e := range table(t, name).Endpoints() {
			for l := range e.Locales {
				for _, token := range tokens {
					path := e.Path(l, token)
					m, ok := table(t, name).Match([]byte(e.Method), []byte(path))
					if !ok || m.Endpoint.Name != e.Name || m.Locale != l || string(m.Token) != token {
						t.Errorf("%s: %s %s = %+v, %t; want %s in locale %d", name, e.Method, path, m, ok, e.Name, l)
					}
				}
			}
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	marksign := table(t, "marksign")
	method, path := []byte("POST"), []byte("/en/mobile/status/0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11.json")
	if n := testing.AllocsPerRun(100, func() { marksign.Match(method, path) }); n > 0 {
		t.Errorf("Match makes %v allocations", n)
	}
}

// TestPathsThatAreNested: a token can hold no slash, so neither takes the other's.
func TestPathsThatAreNested(t *testing.T) {
	outer := newEndpoint(t, func(c *session.EndpointConfig) { c.Name, c.Path = "outer", "/x/{token}" })
	inner := newEndpoint(t, func(c *session.EndpointConfig) { c.Name, c.Path = "inner", "/x/hash/{token}" })
	nested := newTable(t, outer, inner)
	for path, name := range map[string]string{"/x/hash": "outer", "/x/t": "outer", "/x/hash/t": "inner"} {
		if m, ok := nested.Match([]byte("GET"), []byte(path)); !ok || m.Endpoint.Name != name {
			t.Errorf("Match(%s) = %+v, %t; want %s", path, m, ok, name)
		}
	}
}

func TestTableNamesWhatClashes(t *testing.T) {
	a := newEndpoint(t, func(c *session.EndpointConfig) { c.Name = "a" })
	b := newEndpoint(t, func(c *session.EndpointConfig) { c.Name = "b" })
	twoPrefixes := newEndpoint(t, func(c *session.EndpointConfig) {
		c.Name, c.Path, c.Locales = "c", "/c/{token}", map[string]string{"lt": "", "en": ""}
	})
	for _, c := range []struct {
		endpoints []session.Endpoint
		want      []string // parts of the error
	}{
		{[]session.Endpoint{a}, nil},
		{[]session.Endpoint{a, a}, []string{`"a" is defined twice`, `both stand at GET /document/{token}/status`}},
		{[]session.Endpoint{a, b}, []string{`"a" and "b" both stand at GET /document/{token}/status`}},
		{[]session.Endpoint{twoPrefixes}, []string{`"c" and "c" both stand at GET /c/{token}`}},
	} {
		_, err := session.NewTable(c.endpoints)
		if (err == nil) != (c.want == nil) {
			t.Errorf("NewTable = %v; want %v", err, c.want)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("NewTable = %v; want %s in it", err, part)
			}
		}
	}
}

func TestTableFindsByName(t *testing.T) {
	marksign := table(t, "marksign")
	if e, ok := marksign.Endpoint("mobile-auth"); !ok || e.Name != "mobile-auth" {
		t.Errorf("Endpoint(mobile-auth) = %v, %t", e, ok)
	}
	if _, ok := marksign.Endpoint("nobody"); ok {
		t.Error("Endpoint(nobody) was found")
	}
}
