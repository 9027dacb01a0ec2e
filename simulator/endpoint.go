package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// Endpoint is one of the six kinds of session. The zero value stands for
// SmartIDSign.
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

// anyEndpoint is what the other dialects ask for: they see every session.
const anyEndpoint Endpoint = ""

type endpointPaths struct {
	name   Endpoint
	start  string // the whole path of the start call
	status string // what stands before {token}.json
}

var endpoints = []endpointPaths{
	{SmartIDSign, "/smartid/sign.json", "/smartid/sign/status/"},
	{SmartIDSignHash, "/smartid/sign/hash.json", "/smartid/sign/hash/status/"},
	{SmartIDAuth, "/smartid/login.json", "/smartid/status/"},
	{MobileSign, "/mobile/sign.json", "/mobile/sign/status/"},
	{MobileSignHash, "/mobile/sign/hash.json", "/mobile/sign-hash/status/"},
	{MobileAuth, "/mobile/login.json", "/mobile/status/"},
}

// queryStatusPaths are those of the dialects that poll with GET and carry the
// credential in the query.
var queryStatusPaths = []string{
	"/smartid/sign/status/",
	"/mobile/sign/status/",
	"/audkenniapp/sign/status/",
	"/api/v1/smartid/sign/status/",
	"/api/v1/mobile/sign/status/",
}

func (e Endpoint) validate() error {
	if slices.ContainsFunc(endpoints, func(p endpointPaths) bool { return p.name == e }) {
		return nil
	}
	names := make([]string, len(endpoints))
	for i, p := range endpoints {
		names[i] = string(p.name)
	}
	return fmt.Errorf("%q is not an endpoint; accepted: %s", string(e), strings.Join(names, ", "))
}

func (e Endpoint) mobile() bool { return strings.HasPrefix(string(e), "mobile-") }

func (e Endpoint) signsDocument() bool { return e == SmartIDSign || e == MobileSign }

func (e Endpoint) signsHash() bool { return e == SmartIDSignHash || e == MobileSignHash }
