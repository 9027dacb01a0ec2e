package session

import (
	"maps"
	"slices"
)

// DialectCustom is the dialect whose endpoints come from the configuration.
const DialectCustom = "custom"

// Dialects returns the names of all dialects, sorted, "custom" among them.
func Dialects() []string {
	return slices.Sorted(maps.Keys(dialects))
}

// Dialect returns the endpoints of a dialect by its name. There are none for
// "custom": those come from the configuration. The caller owns the slice.
func Dialect(name string) (endpoints []Endpoint, known bool) {
	make, known := dialects[name]
	if !known {
		return nil, false
	}
	return make(), true
}

// The endpoints of each dialect, and the public source of each, are in docs/dialects.md.
var dialects = map[string]func() []Endpoint{
	"marksign":    marksign,
	"dokobit":     dokobit,
	"elpako":      elpako,
	DialectCustom: func() []Endpoint { return nil },
}

// coded is how every built-in dialect answers.
var coded = AnswerFormat{
	Status: pointer{"status"}, Code: pointer{"error_code"}, Message: pointer{"message"},
	Pending: []string{"waiting"}, Succeeded: []string{"ok"}, Failed: []string{"error"}, FailedState: Unknown,
}

func marksign() []Endpoint {
	return family("POST", Credential{InBody, "access_token"}, []Locale{{"lt", ""}, {"en", "/en"}}, [][2]string{
		{"smartid-sign", "/smartid/sign/status/"},
		{"smartid-sign-hash", "/smartid/sign/hash/status/"},
		{"smartid-auth", "/smartid/status/"},
		{"mobile-sign", "/mobile/sign/status/"},
		{"mobile-sign-hash", "/mobile/sign-hash/status/"},
		{"mobile-auth", "/mobile/status/"},
	})
}

func dokobit() []Endpoint {
	return family("GET", Credential{InQuery, "access_token"}, []Locale{{}}, [][2]string{
		{"smartid-sign", "/smartid/sign/status/"},
		{"smartid-auth", "/smartid/login/status/"},
		{"mobile-sign", "/mobile/sign/status/"},
		{"mobile-sign-hash", "/mobile/sign/hash/status/"},
		{"mobile-auth", "/mobile/login/status/"},
		{"mobile-auth-v2", "/v2/mobile/login/status/"},
		{"audkenniapp-sign", "/audkenniapp/sign/status/"},
	})
}

func elpako() []Endpoint {
	return family("GET", Credential{InQuery, "access_token"}, []Locale{{}}, [][2]string{
		{"smartid-sign", "/api/v1/smartid/sign/status/"},
		{"smartid-auth", "/api/v1/smart-id/login/status/"},
		{"mobile-sign", "/api/v1/mobile/sign/status/"},
		{"mobile-auth", "/api/v1/mobile/login/status/"},
	})
}

// family lists endpoints that differ in name and path only; each path ends in
// TOKEN.json.
func family(method string, credential Credential, locales []Locale, paths [][2]string) []Endpoint {
	var endpoints []Endpoint
	for _, p := range paths {
		endpoints = append(endpoints, Endpoint{
			Name: p[0], Method: method, Locales: locales, Credential: credential, Answer: coded,
			before: p[1], after: ".json",
		})
	}
	return endpoints
}
