package session

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"pollbridge/internal/check"
)

// Part is the part of a request that carries its credential.
type Part uint8

// The parts a credential can stand in.
const (
	InBody   Part = iota + 1 // a member of the JSON body
	InQuery                  // a parameter of the query
	InHeader                 // a header field; in Authorization it is a bearer token
)

var partNames = map[string]Part{"body": InBody, "query": InQuery, "header": InHeader}

// Credential says where an endpoint expects the credential of the caller.
type Credential struct {
	In   Part
	Name string // of the member, the parameter or the header field
}

// ParseCredential reads "body:access_token", "query:access_token" or
// "header:Authorization". Its error does not quote s: it may be the credential itself.
func ParseCredential(s string) (Credential, error) {
	part, name, _ := strings.Cut(s, ":")
	in, known := partNames[part]
	if !known || name == "" {
		return Credential{}, errors.New("want body:NAME, query:NAME or header:NAME, where NAME is the field that carries the credential (the value is not shown)")
	}
	if in == InHeader {
		if !httpguts.ValidHeaderFieldName(name) {
			return Credential{}, errors.New("want header:NAME with the name of a header field (the value is not shown)")
		}
		name = http.CanonicalHeaderKey(name)
	}
	return Credential{In: in, Name: name}, nil
}

// Locale is one language in which an endpoint answers, chosen by a path prefix.
type Locale struct {
	Name   string // such as "en"
	Prefix string // before the endpoint's path: "/en", or empty
}

// Endpoint is one status API of the upstream. Treat it as read-only: it is shared
// by all requests.
type Endpoint struct {
	Name       string
	Method     string
	Locales    []Locale // at least one
	Credential Credential
	Answer     AnswerFormat

	before, after string   // the path around the token, without the locale's prefix
	index         int      // in its Table
	ignored       []string // query fields that say nothing; see NewTable
}

// Path returns the path at which token is asked for in a locale, as an index into
// Locales. The token must be one that a Table matched.
func (e *Endpoint) Path(locale int, token string) string {
	return e.Locales[locale].Prefix + e.before + token + e.after
}

// Template returns the path at which tokens are asked for in a locale.
func (e *Endpoint) Template(locale int) string { return e.Path(locale, tokenPlaceholder) }

// EndpointConfig describes an endpoint of the "custom" dialect as an operator
// writes it.
type EndpointConfig struct {
	Name       string            `yaml:"name"`
	Method     string            `yaml:"method"`     // GET or POST
	Path       string            `yaml:"path"`       // with {token} once
	Locales    map[string]string `yaml:"locales"`    // locale to path prefix; none: one locale without a prefix
	Credential string            `yaml:"credential"` // body:NAME, query:NAME or header:NAME
	Status     string            `yaml:"status"`     // JSON pointer to the status; default /status
	Code       string            `yaml:"code"`       // JSON pointer to the error code; default /error_code
	Pending    []string          `yaml:"pending"`
	Succeeded  []string          `yaml:"succeeded"`
	Failed     []string          `yaml:"failed"`
}

const (
	tokenPlaceholder = "{token}"
	aPointer         = "a JSON pointer such as /data/status"
)

// NewEndpoint checks c and makes an endpoint of it. The error joins every mistake, each
// with the key it stands under.
func NewEndpoint(c EndpointConfig) (Endpoint, error) {
	var m check.Mistakes
	m.Want(c.Name != "" && strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "", "name", c.Name, "lower-case letters, digits, - and _")
	m.Want(c.Method == http.MethodGet || c.Method == http.MethodPost, "method", c.Method, "GET or POST")
	before, after, found := strings.Cut(c.Path, tokenPlaceholder)
	m.Want(found && fixedPath(before+"token"+after) && strings.HasPrefix(before, "/"), "path", c.Path,
		"a path with {token} in it once, such as /document/{token}/check-status")
	credential, err := ParseCredential(c.Credential)
	m.Within("credential", err)
	if credential.In == InBody && c.Method == http.MethodGet {
		m.Add("credential", "stands in the body, which a GET request does not have: want query:NAME or header:NAME")
	}
	format := AnswerFormat{
		Message: pointer{"message"}, Pending: c.Pending, Succeeded: c.Succeeded, Failed: c.Failed, FailedState: Failed,
	}
	var ok bool
	format.Status, ok = parsePointer(c.Status, pointer{"status"})
	m.Want(ok, "status", c.Status, aPointer)
	format.Code, ok = parsePointer(c.Code, pointer{"error_code"})
	m.Want(ok, "code", c.Code, aPointer)
	for _, list := range []struct {
		key    string
		values []string
		needed string
	}{{"pending", c.Pending, "is under way"}, {"succeeded", c.Succeeded, "is done"}, {"failed", c.Failed, ""}} {
		if len(list.values) == 0 && list.needed != "" {
			m.Add(list.key, "is empty: want at least one value that says a signing "+list.needed)
		}
		if slices.Contains(list.values, "") {
			m.Add(list.key, "holds an empty value: want what the status says then")
		}
	}
	if twice := repeated(c.Pending, c.Succeeded, c.Failed); twice != "" {
		m.Add("pending", fmt.Sprintf("%q appears twice in pending, succeeded and failed: a value has one meaning", twice))
	}
	locales := []Locale{{}}
	if len(c.Locales) > 0 {
		locales = nil
		for _, name := range slices.Sorted(maps.Keys(c.Locales)) {
			prefix := c.Locales[name]
			fits := prefix == "" || strings.HasPrefix(prefix, "/") && !strings.HasSuffix(prefix, "/") && fixedPath(prefix)
			m.Want(fits, "locales."+name, prefix, "an empty prefix or one such as /en")
			locales = append(locales, Locale{Name: name, Prefix: prefix})
		}
	}
	if err := m.Err(); err != nil {
		return Endpoint{}, err
	}
	return Endpoint{
		Name: c.Name, Method: c.Method, Locales: locales, Credential: credential, Answer: format,
		before: before, after: after,
	}, nil
}

// fixedPath reports whether the fixed part of a path has one spelling only.
func fixedPath(path string) bool {
	return !strings.Contains(path, "//") && !strings.ContainsFunc(path, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("{}?#%", r)
	})
}

func repeated(lists ...[]string) string {
	seen := map[string]bool{}
	for _, value := range slices.Concat(lists...) {
		if seen[value] {
			return value
		}
		seen[value] = true
	}
	return ""
}
