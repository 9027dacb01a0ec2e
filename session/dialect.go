package session

import (
	"maps"
	"slices"
)

// DialectCustom is the dialect whose endpoints come from the configuration.
const DialectCustom = "custom"

// dialect lists endpoints that differ in name and path only.
type dialect struct {
	method     string
	credential Credential
	locales    []Locale
	calls      []call
}

type call struct{ name, before, start string }

// The endpoints of each dialect, each with the status path, which ends in TOKEN.json, and
// with the call that starts what is asked for there. The public source of each is in
// docs/dialects.md.
var dialects = map[string]dialect{
	"marksign": {"POST", Credential{InBody, "access_token"}, []Locale{{"lt", ""}, {"en", "/en"}}, []call{
		{"smartid-sign", "/smartid/sign/status/", "/smartid/sign.json"},
		{"smartid-sign-hash", "/smartid/sign/hash/status/", "/smartid/sign/hash.json"},
		{"smartid-auth", "/smartid/status/", "/smartid/login.json"},
		{"mobile-sign", "/mobile/sign/status/", "/mobile/sign.json"},
		{"mobile-sign-hash", "/mobile/sign-hash/status/", "/mobile/sign/hash.json"},
		{"mobile-auth", "/mobile/status/", "/mobile/login.json"},
	}},
	"dokobit": {"GET", Credential{InQuery, "access_token"}, []Locale{{}}, []call{
		{"smartid-sign", "/smartid/sign/status/", "/smartid/sign.json"},
		{"smartid-auth", "/smartid/login/status/", "/smartid/login.json"},
		{"mobile-sign", "/mobile/sign/status/", "/mobile/sign.json"},
		{"mobile-sign-hash", "/mobile/sign/hash/status/", "/mobile/sign/hash.json"},
		{"mobile-auth", "/mobile/login/status/", "/mobile/login.json"},
		{"mobile-auth-v2", "/v2/mobile/login/status/", "/v2/mobile/login.json"},
		{"audkenniapp-sign", "/audkenniapp/sign/status/", "/audkenniapp/sign.json"},
	}},
	"elpako": {"GET", Credential{InQuery, "access_token"}, []Locale{{}}, []call{
		{"smartid-sign", "/api/v1/smartid/sign/status/", "/api/v1/smartid/sign.json"},
		{"smartid-auth", "/api/v1/smart-id/login/status/", "/api/v1/smart-id/login.json"},
		{"mobile-sign", "/api/v1/mobile/sign/status/", "/api/v1/mobile/sign.json"},
		{"mobile-auth", "/api/v1/mobile/login/status/", "/api/v1/mobile/login.json"},
	}},
	DialectCustom: {},
}

// coded is how every built-in dialect answers.
var coded = AnswerFormat{
	Status: pointer{"status"}, Code: pointer{"error_code"}, Message: pointer{"message"},
	Pending: []string{"waiting"}, Succeeded: []string{"ok"}, Failed: []string{"error"}, FailedState: Unknown,
}

// Dialects returns the names of all dialects, sorted, "custom" among them.
func Dialects() []string {
	return slices.Sorted(maps.Keys(dialects))
}

// Dialect returns the endpoints of a dialect by its name. There are none for
// "custom": those come from the configuration. The caller owns the slice.
func Dialect(name string) (endpoints []Endpoint, known bool) {
	d, known := dialects[name]
	for _, c := range d.calls {
		endpoints = append(endpoints, Endpoint{
			Name: c.name, Method: d.method, Locales: d.locales, Credential: d.credential, Answer: coded,
			before: c.before, after: ".json",
		})
	}
	return endpoints, known
}
