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

var endpoints = []Endpoint{SmartIDSign, SmartIDSignHash, SmartIDAuth, MobileSign, MobileSignHash, MobileAuth}

func (e Endpoint) validate() error {
	if slices.Contains(endpoints, e) {
		return nil
	}
	return fmt.Errorf("%q is not an endpoint; accepted: %v", string(e), endpoints)
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
// and after. Those without an endpoint show sessions of every one.
var calls = []struct {
	method, before, after string
	call                  call
}{
	{"POST", "/smartid/sign.json", "", call{kind: startCall, endpoint: SmartIDSign}},
	{"POST", "/smartid/sign/status/", ".json", call{kind: statusCall, endpoint: SmartIDSign}},
	{"POST", "/smartid/sign/hash.json", "", call{kind: startCall, endpoint: SmartIDSignHash}},
	{"POST", "/smartid/sign/hash/status/", ".json", call{kind: statusCall, endpoint: SmartIDSignHash}},
	{"POST", "/smartid/login.json", "", call{kind: startCall, endpoint: SmartIDAuth}},
	{"POST", "/smartid/status/", ".json", call{kind: statusCall, endpoint: SmartIDAuth}},
	{"POST", "/mobile/sign.json", "", call{kind: startCall, endpoint: MobileSign}},
	{"POST", "/mobile/sign/status/", ".json", call{kind: statusCall, endpoint: MobileSign}},
	{"POST", "/mobile/sign/hash.json", "", call{kind: startCall, endpoint: MobileSignHash}},
	{"POST", "/mobile/sign-hash/status/", ".json", call{kind: statusCall, endpoint: MobileSignHash}},
	{"POST", "/mobile/login.json", "", call{kind: startCall, endpoint: MobileAuth}},
	{"POST", "/mobile/status/", ".json", call{kind: statusCall, endpoint: MobileAuth}},
	{"GET", "/smartid/sign/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/smartid/login/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/mobile/sign/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/mobile/sign/hash/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/mobile/login/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/v2/mobile/login/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/audkenniapp/sign/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/api/v1/smartid/sign/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/api/v1/smart-id/login/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/api/v1/mobile/sign/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/api/v1/mobile/login/status/", ".json", call{kind: statusCall, dialect: queryDialect}},
	{"GET", "/document/", "/check-status", call{kind: statusCall, dialect: bearerDialect}},
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
