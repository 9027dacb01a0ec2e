package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pollbridge/session"
)

func TestVariantByName(t *testing.T) {
	marksign := table(t, "marksign")
	v, err := marksign.Variant("smartid-sign", "tok", "secret", "en")
	if err != nil {
		t.Fatal(err)
	}
	client := read(marksign, "POST", "/en"+status+"tok.json", `{"access_token":"secret"}`, nil)
	if v.Key() != client.Key() || v.Locale != client.Locale || v.Target() != client.Target() || string(v.Body()) != string(client.Body()) {
		t.Errorf("asks %s %s, clients ask %s %s", v.Target(), v.Body(), client.Target(), client.Body())
	}
	if v, err := marksign.Variant("smartid-sign", "tok", "secret", ""); err != nil || v.Locale != 0 {
		t.Errorf("no locale: %v, %v; want the first one", v.Locale, err)
	}
	if v, err := table(t, "dokobit").Variant("mobile-sign", "tok", "a+b", ""); err != nil || v.Target() != "/mobile/sign/status/tok.json?access_token=a%2Bb" {
		t.Errorf("dokobit: %v", err)
	}
}

func TestVariantMistakes(t *testing.T) {
	for _, test := range []struct {
		table                               *session.Table
		endpoint, token, credential, locale string
		field                               string
	}{
		{table(t, "marksign"), "smartid", "tok", "s", "", "endpoint"},
		{table(t, "marksign"), "smartid-sign", "", "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", "a/b", "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", "a%2fb", "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", "a\x00b", "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", "a.json", "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", strings.Repeat("a", 129), "s", "", "token"},
		{table(t, "marksign"), "smartid-sign", "tok", "", "", "credential"},
		{table(t, "marksign"), "smartid-sign", "tok", "a\xff", "", "credential"},
		{table(t, "marksign"), "smartid-sign", "tok", strings.Repeat("a", 5000), "", "credential"},
		{table(t, "dokobit"), "smartid-sign", "tok", "a\nb", "", "credential"},
		{bearerTable(t), "document", "tok", "a\r\nX: y", "", "credential"},
		{bearerTable(t), "document", "tok", " a", "", "credential"},
		{table(t, "marksign"), "smartid-sign", "tok", "s", "de", "locale"},
		{table(t, "dokobit"), "smartid-sign", "tok", "s", "en", "locale"},
		{table(t, "marksign"), "smartid-sign", "a/b", "", "de", "token credential locale"},
		{table(t, "marksign"), "smartid", "a/b", "", "de", "endpoint token"},
	} {
		_, err := test.table.Variant(test.endpoint, test.token, test.credential, test.locale)
		_, ok := errors.AsType[*session.VariantError](err)
		var fields []string
		for line := range strings.Lines(fmt.Sprint(err)) {
			field, problem, _ := strings.Cut(strings.TrimSpace(line), ": ")
			fields = append(fields, field)
			ok = ok && problem != ""
		}
		if !ok || strings.Join(fields, " ") != test.field {
			t.Errorf("%q %.20q %.20q %q: %v; want mistakes in %s", test.endpoint, test.token, test.credential, test.locale, err, test.field)
			continue
		}
		for _, secret := range []string{test.token, test.credential} {
			if len(secret) > 2 && strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats what was given: %v", err)
			}
		}
	}
}

// variants are one of each kind.
func variants(t testing.TB) map[*session.Table][]*session.Variant {
	marksign, dokobit, bearer := table(t, "marksign"), table(t, "dokobit"), bearerTable(t)
	return map[*session.Table][]*session.Variant{
		marksign: {
			read(marksign, "POST", status+"tok.json", `{"access_token":"secret"}`, nil),
			read(marksign, "POST", "/en/mobile/status/tok.json?b=2&a=1", `{"access_token":"s\u00e9","z":1.50,"a":{"b":[1]}}`, nil),
		},
		dokobit: {
			read(dokobit, "GET", status+"tok.json?access_token=a%26b&x=%20", "", nil),
		},
		bearer: {
			read(bearer, "GET", "/document/tok/check-status?x=1", "", header{"Authorization": {"Bearer abc"}}),
		},
	}
}

func TestVariantsSurviveTheirDurableForm(t *testing.T) {
	for table, list := range variants(t) {
		for _, v := range list {
			durable := v.AppendDurable([]byte("before"))[len("before"):]
			got, err := table.ReadDurable(durable)
			if err != nil {
				t.Fatalf("%s: %v", v.Endpoint.Name, err)
			}
			clear(durable) // it must not be kept
			if got.Key() != v.Key() || got.Locale != v.Locale || got.Target() != v.Target() || string(got.Body()) != string(v.Body()) || got.Credential != v.Credential {
				t.Errorf("%s %s came back as %s %s", v.Target(), v.Body(), got.Target(), got.Body())
			}
		}
	}
}

// TestDurableFormNamesItsEndpoint: endpoints may change their order between two
// processes, and what they are called.
func TestDurableFormNamesItsEndpoint(t *testing.T) {
	endpoint := func(name, path string) session.Endpoint {
		return newEndpoint(t, func(c *session.EndpointConfig) {
			c.Name, c.Path, c.Locales = name, path, map[string]string{"en": "/en", "lt": ""}
		})
	}
	before := newTable(t, endpoint("a", "/a/{token}"), endpoint("b", "/b/{token}"))
	after := newTable(t, endpoint("b", "/b/{token}"), endpoint("c", "/a/{token}"))
	b, _ := before.Variant("b", "tok", "secret", "en")
	got, err := after.ReadDurable(b.AppendDurable(nil))
	if err != nil || got.Target() != b.Target() || string(got.Identity()) != string(b.Identity()) {
		t.Errorf("b came back as %v, %v", got, err)
	}
	a, _ := before.Variant("a", "tok", "secret", "en")
	if _, err := after.ReadDurable(a.AppendDurable(nil)); err == nil || !strings.Contains(err.Error(), `"a" is not known`) {
		t.Errorf("an endpoint that is gone: %v", err)
	}
	if string(a.Identity()) == string(b.Identity()) {
		t.Error("two endpoints have one identity")
	}
	if string(b.In(0).Identity()) != string(b.In(1).Identity()) {
		t.Error("two locales have two identities")
	}
}

func TestDurableFormsThatCannotBeRead(t *testing.T) {
	marksign := table(t, "marksign")
	v, _ := marksign.Variant("smartid-sign", "tok", "secret", "")
	good := string(v.AppendDurable(nil))
	for name, durable := range map[string]string{
		"empty": "", "cut off": good[:len(good)-1], "more behind": good + "x", "another version": "\x02" + good[1:],
		"huge length": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the version alone": "\x01",
	} {
		if _, err := marksign.ReadDurable([]byte(durable)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := table(t, "elpako").ReadDurable([]byte(good)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a locale that is not known: %v", err)
	}
	post := read(marksign, "POST", status+"tok.json", `{"access_token":"secret","x":1}`, nil)
	dokobit := newTable(t, newEndpoint(t, func(c *session.EndpointConfig) {
		c.Name, c.Method, c.Path, c.Credential, c.Locales = "smartid-sign", "GET", "/x/{token}", "query:key", map[string]string{"lt": ""}
	}))
	if _, err := dokobit.ReadDurable(post.AppendDurable(nil)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("further fields for an endpoint that takes no body: %v", err)
	}
}
