package session_test

import (
	"slices"
	"strings"
	"testing"

	"pollbridge/session"
)

func endpointConfig() session.EndpointConfig {
	return session.EndpointConfig{
		Name: "document", Method: "GET", Path: "/document/{token}/status", Credential: "header:x-api-key",
		Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	}
}

func newEndpoint(t testing.TB, change func(*session.EndpointConfig)) session.Endpoint {
	t.Helper()
	c := endpointConfig()
	change(&c)
	e, err := session.NewEndpoint(c)
	if err != nil {
		t.Fatalf("NewEndpoint = %v", err)
	}
	return e
}

func TestEndpointMistakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.EndpointConfig)
		want   string // in the error; empty: none
	}{
		{"none", func(*session.EndpointConfig) {}, ""},
		{"POST with a body", func(c *session.EndpointConfig) { c.Method, c.Credential = "POST", "body:key" }, ""},
		{"locales", func(c *session.EndpointConfig) { c.Locales = map[string]string{"lt": "", "en": "/en"} }, ""},
		{"token at the end", func(c *session.EndpointConfig) { c.Path = "/{token}" }, ""},
		{"no failed values", func(c *session.EndpointConfig) { c.Failed = nil }, ""},
		{"pointers", func(c *session.EndpointConfig) { c.Status, c.Code = "/a/b", "/a~1b" }, ""},
		{"no name", func(c *session.EndpointConfig) { c.Name = "" }, `name: want lower-case letters`},
		{"name", func(c *session.EndpointConfig) { c.Name = "A b" }, `name: "A b"`},
		{"no method", func(c *session.EndpointConfig) { c.Method = "" }, `method: want GET or POST`},
		{"method", func(c *session.EndpointConfig) { c.Method = "get" }, `method: "get": want GET or POST`},
		{"no path", func(c *session.EndpointConfig) { c.Path = "" }, `path: want`},
		{"path without a token", func(c *session.EndpointConfig) { c.Path = "/document" }, `path: "/document": want a path with {token} in it once`},
		{"path with two", func(c *session.EndpointConfig) { c.Path = "/{token}/{token}" }, `path: `},
		{"relative path", func(c *session.EndpointConfig) { c.Path = "document/{token}" }, `path: `},
		{"path with a query", func(c *session.EndpointConfig) { c.Path = "/{token}?a" }, `path: `},
		{"path with an escape", func(c *session.EndpointConfig) { c.Path = "/%41/{token}" }, `path: `},
		{"path with a line break", func(c *session.EndpointConfig) { c.Path = "/a\r\nX: y/{token}" }, `path: `},
		{"path with a tab", func(c *session.EndpointConfig) { c.Path = "/a\t/{token}" }, `path: `},
		{"path with two slashes", func(c *session.EndpointConfig) { c.Path = "//a/{token}" }, `path: `},
		{"no credential", func(c *session.EndpointConfig) { c.Credential = "" }, `credential: want body:NAME`},
		{"credential elsewhere", func(c *session.EndpointConfig) { c.Credential = "cookie:a" }, `credential: want body:NAME`},
		{"credential without a name", func(c *session.EndpointConfig) { c.Credential = "query:" }, `credential: want`},
		{"credential in a header that is none", func(c *session.EndpointConfig) { c.Credential = "header:a b" }, `credential: want header:NAME with the name of a header field`},
		{"body of a GET", func(c *session.EndpointConfig) { c.Credential = "body:key" }, `credential: stands in the body, which a GET request does not have`},
		{"status pointer", func(c *session.EndpointConfig) { c.Status = "status" }, `status: "status": want a JSON pointer`},
		{"status pointer to nothing", func(c *session.EndpointConfig) { c.Status = "/" }, `status: "/"`},
		{"code pointer", func(c *session.EndpointConfig) { c.Code = "code" }, `code: "code": want a JSON pointer`},
		{"code pointer with a bad escape", func(c *session.EndpointConfig) { c.Code = "/a~2" }, `code: "/a~2"`},
		{"code pointer with half an escape", func(c *session.EndpointConfig) { c.Code = "/a~" }, `code: "/a~"`},
		{"nothing pending", func(c *session.EndpointConfig) { c.Pending = nil }, `pending: is empty`},
		{"nothing succeeded", func(c *session.EndpointConfig) { c.Succeeded = []string{} }, `succeeded: is empty`},
		{"a value with two meanings", func(c *session.EndpointConfig) { c.Failed = []string{"signed"} }, `"signed" appears twice`},
		{"a value twice", func(c *session.EndpointConfig) { c.Pending = []string{"p", "p"} }, `"p" appears twice`},
		{"an empty value", func(c *session.EndpointConfig) { c.Succeeded = []string{""} }, `succeeded: `},
		{"locale prefix without a slash", func(c *session.EndpointConfig) { c.Locales = map[string]string{"en": "en"} }, `locales.en: "en": want an empty prefix or one such as /en`},
		{"locale prefix with one too many", func(c *session.EndpointConfig) { c.Locales = map[string]string{"en": "/en/"} }, `locales.en: "/en/"`},
		{"locale prefix with a line break", func(c *session.EndpointConfig) { c.Locales = map[string]string{"en": "/en\n"} }, `locales.en: `},
		{"two locales in one place", func(c *session.EndpointConfig) { c.Locales = map[string]string{"en": "/x", "lt": "/x"} }, ``}, // the table says so
	} {
		t.Run(c.name, func(t *testing.T) {
			config := endpointConfig()
			c.change(&config)
			_, err := session.NewEndpoint(config)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewEndpoint = %v; want %q", err, c.want)
			}
		})
	}
}

func TestNoMistakeShowsACredential(t *testing.T) {
	for _, credential := range []string{"sesame", "Bearer sesame", "header:Bearer sesame", "body:sesame"} {
		config := endpointConfig()
		config.Credential, config.Path = credential, "/{token}?access_token=sesame"
		if _, err := session.NewEndpoint(config); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("NewEndpoint of %q = %v; want an error that does not show it", credential, err)
		}
	}
}

func TestEndpointMistakesAllAtOnce(t *testing.T) {
	_, err := session.NewEndpoint(session.EndpointConfig{
		Name: "A", Method: "PUT", Path: "x", Credential: "x", Status: "x", Code: "x", Failed: []string{"a", "a"}, Locales: map[string]string{"en": "x", "lt": "y"},
	})
	if err == nil {
		t.Fatal("NewEndpoint took it")
	}
	for _, key := range []string{"name:", "method:", "path:", "credential:", "status:", "code:", "pending:", "succeeded:", "locales.en:", "locales.lt:"} {
		if !strings.Contains("\n"+err.Error(), "\n"+key) {
			t.Errorf("nothing is said about %s in\n%v", key, err)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 11 || !strings.Contains(err.Error(), "appears twice in pending, succeeded and failed") {
		t.Errorf("%d mistakes; want 11:\n%v", lines, err)
	}
}

func TestHeaderCredential(t *testing.T) {
	keyed := newTable(t, newEndpoint(t, func(*session.EndpointConfig) {}))
	v := read(keyed, "GET", "/document/t/status", "", header{"X-Api-Key": {"secret"}})
	if v == nil {
		t.Fatal("was not read as a status request")
	}
	if name, value := v.Header(); name != "X-Api-Key" || value != "secret" || v.Body() != nil || v.Target() != "/document/t/status" {
		t.Errorf("asks with %s: %s, %s %s", name, value, v.Target(), v.Body())
	}
	for _, h := range []header{
		nil, {"X-Api-Key": {""}}, {"X-Api-Key": {"a", "b"}}, {"X-Api-Key": {"a", "a"}}, {"X-Api-Key": {"a"}, "Authorization": {"Bearer b"}}, {"X-Api-Key": {"a"}, "Authorization": {""}},
	} {
		if read(keyed, "GET", "/document/t/status", "", h) != nil {
			t.Errorf("%v was read as a status request", h)
		}
	}
}

func TestDialects(t *testing.T) {
	if got, want := strings.Join(session.Dialects(), " "), "custom dokobit elpako marksign"; got != want {
		t.Errorf("Dialects = %s; want %s", got, want)
	}
	if _, known := session.Dialect("nobody"); known {
		t.Error("Dialect(nobody) is known")
	}
	if endpoints, known := session.Dialect("custom"); !known || len(endpoints) > 0 {
		t.Errorf("Dialect(custom) = %v, %t; want none, true", endpoints, known)
	}
	for _, c := range []struct {
		dialect, credential string
		in                  session.Part
		requests            []string
	}{
		{"marksign", "access_token", session.InBody, []string{
			"POST /smartid/sign/status/T.json", "POST /en/smartid/sign/status/T.json",
			"POST /smartid/sign/hash/status/T.json", "POST /en/smartid/sign/hash/status/T.json",
			"POST /smartid/status/T.json", "POST /en/smartid/status/T.json",
			"POST /mobile/sign/status/T.json", "POST /en/mobile/sign/status/T.json",
			"POST /mobile/sign-hash/status/T.json", "POST /en/mobile/sign-hash/status/T.json",
			"POST /mobile/status/T.json", "POST /en/mobile/status/T.json",
		}},
		{"dokobit", "access_token", session.InQuery, []string{
			"GET /smartid/sign/status/T.json", "GET /smartid/login/status/T.json",
			"GET /mobile/sign/status/T.json", "GET /mobile/sign/hash/status/T.json",
			"GET /mobile/login/status/T.json", "GET /v2/mobile/login/status/T.json",
			"GET /audkenniapp/sign/status/T.json",
		}},
		{"elpako", "access_token", session.InQuery, []string{
			"GET /api/v1/smartid/sign/status/T.json", "GET /api/v1/smart-id/login/status/T.json",
			"GET /api/v1/mobile/sign/status/T.json", "GET /api/v1/mobile/login/status/T.json",
		}},
	} {
		var requests []string
		for _, e := range table(t, c.dialect).Endpoints() {
			if e.Credential != (session.Credential{In: c.in, Name: c.credential}) {
				t.Errorf("%s %s: the credential is %+v", c.dialect, e.Name, e.Credential)
			}
			for l := range e.Locales {
				requests = append(requests, e.Method+" "+e.Path(l, "T"))
			}
		}
		if !slices.Equal(requests, c.requests) {
			t.Errorf("%s has\n%s; want\n%s", c.dialect, strings.Join(requests, "\n"), strings.Join(c.requests, "\n"))
		}
	}
}

// TestDialectIsTheCallers: one table's endpoints are not another's.
func TestDialectIsTheCallers(t *testing.T) {
	mine, _ := session.Dialect("marksign")
	mine[0].Name = "changed"
	if others, _ := session.Dialect("marksign"); others[0].Name == "changed" {
		t.Error("changing what Dialect returned changes the dialect")
	}
}

func TestShortToken(t *testing.T) {
	for token, want := range map[string]string{"": "", "a": "", "abcd": "ab", "0123456789abcdef": "01234567", "0b6cbb2e-5d1c-4e0a": "0b6cbb2e"} {
		if got := session.ShortToken(token); got != want {
			t.Errorf("ShortToken(%s) = %s; want %s", token, got, want)
		}
	}
}
