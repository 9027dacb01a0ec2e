package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Endpoint is one of the six kinds of session. The zero value stands for SmartIDSign.
type Endpoint string

// The endpoints, each started and polled under its own path.
const (
	SmartIDSign     Endpoint = "smartid-sign"
	SmartIDSignHash Endpoint = "smartid-sign-hash"
	SmartIDAuth     Endpoint = "smartid-auth"
	MobileSign      Endpoint = "mobile-sign"
	MobileSignHash  Endpoint = "mobile-sign-hash"
	MobileAuth      Endpoint = "mobile-auth"
)

var endpoints = []struct {
	name   Endpoint
	start  string // the path of the start call
	status string // what stands before {token}.json
}{
	{SmartIDSign, "/smartid/sign.json", "/smartid/sign/status/"},
	{SmartIDSignHash, "/smartid/sign/hash.json", "/smartid/sign/hash/status/"},
	{SmartIDAuth, "/smartid/login.json", "/smartid/status/"},
	{MobileSign, "/mobile/sign.json", "/mobile/sign/status/"},
	{MobileSignHash, "/mobile/sign/hash.json", "/mobile/sign-hash/status/"},
	{MobileAuth, "/mobile/login.json", "/mobile/status/"},
}

// queryStatusPaths are those of the dialects that poll with GET and carry the
// credential in the query. Each shows sessions of every endpoint.
var queryStatusPaths = []string{
	"/smartid/sign/status/", "/smartid/login/status/",
	"/mobile/sign/status/", "/mobile/sign/hash/status/", "/mobile/login/status/", "/v2/mobile/login/status/",
	"/audkenniapp/sign/status/",
	"/api/v1/smartid/sign/status/", "/api/v1/smart-id/login/status/",
	"/api/v1/mobile/sign/status/", "/api/v1/mobile/login/status/",
}

func (e Endpoint) validate() error {
	var names []Endpoint
	for _, known := range endpoints {
		names = append(names, known.name)
	}
	if slices.Contains(names, e) {
		return nil
	}
	return fmt.Errorf("%q is not an endpoint; accepted: %v", string(e), names)
}

func (e Endpoint) mobile() bool        { return strings.HasPrefix(string(e), "mobile-") }
func (e Endpoint) signsDocument() bool { return e == SmartIDSign || e == MobileSign }
func (e Endpoint) signsHash() bool     { return e == SmartIDSignHash || e == MobileSignHash }

// dialect says where the credential stands and how a status is written.
type dialect uint8

const (
	bodyDialect   dialect = iota // POST with a JSON body
	queryDialect                 // GET with ?access_token=
	bearerDialect                // GET with Authorization: Bearer, status under /data
)

type callKind uint8

const (
	unknownCall callKind = iota
	startCall
	statusCall
)

// call is what a request asks for.
type call struct {
	kind     callKind
	endpoint Endpoint // empty: any
	dialect  dialect
	english  bool
	token    string // with statusCall
}

// calls are what the paths of the API ask for, without /en; a token stands between before
// and after.
var calls = knownCalls()

type pattern struct {
	method, before, after string
	call                  call
}

func knownCalls() (all []pattern) {
	for _, e := range endpoints {
		all = append(all, pattern{"POST", e.start, "", call{kind: startCall, endpoint: e.name}},
			pattern{"POST", e.status, ".json", call{kind: statusCall, endpoint: e.name}})
	}
	for _, before := range queryStatusPaths {
		all = append(all, pattern{"GET", before, ".json", call{kind: statusCall, dialect: queryDialect}})
	}
	return append(all, pattern{"GET", "/document/", "/check-status", call{kind: statusCall, dialect: bearerDialect}})
}

// route reads the path as it was sent: an encoded slash is part of a token.
func route(r *http.Request) (c call) {
	path, english := strings.CutPrefix(r.URL.EscapedPath(), "/en/")
	if english {
		path = "/" + path
	}
	for _, known := range calls {
		token, ok := between(path, known.before, known.after)
		if ok && r.Method == known.method && (token != "") == (known.call.kind == statusCall) {
			c = known.call
			c.token = token
			break
		}
	}
	c.english = english || c.dialect != bodyDialect
	return c
}

// between returns the one path segment that stands between before and after, or an empty
// one where nothing does.
func between(path, before, after string) (string, bool) {
	rest, begins := strings.CutPrefix(path, before)
	segment, ends := strings.CutSuffix(rest, after)
	return segment, begins && ends && !strings.Contains(segment, "/")
}
