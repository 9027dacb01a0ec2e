package simulator

import (
	"net/http"
	"strings"
)

type callKind uint8

const (
	unknownCall callKind = iota
	wrongMethod          // the path is known, the method is not
	startCall
	statusCall
	uploadCall
	checkCall
	removeCall
)

// dialect says where the credential stands and how a status is written.
type dialect uint8

const (
	bodyDialect   dialect = iota // POST with a JSON body
	queryDialect                 // GET with ?access_token=
	bearerDialect                // GET with Authorization: Bearer, status under /data
)

// call is a request of the API after its method and path were read.
type call struct {
	kind     callKind
	endpoint Endpoint // anyEndpoint where the path names none
	dialect  dialect
	locale   locale
	id       string // the token or the document's id
	allow    string // with wrongMethod: the methods that would do
}

// route reads the path as it was sent: an encoded slash is part of a token.
func route(r *http.Request) call {
	path, l := cutLocale(r.URL.EscapedPath())
	c := routeStart(path).or(routeStatus(r.Method, path)).or(routeDocument(r.Method, path))
	if c.dialect == bodyDialect {
		c.locale = l
	} else {
		c.locale = english
	}
	return c.checkMethod(r.Method)
}

func localeOf(r *http.Request) locale { return route(r).locale }

func cutLocale(path string) (string, locale) {
	if rest, ok := strings.CutPrefix(path, "/en/"); ok {
		return "/" + rest, english
	}
	return path, lithuanian
}

func (c call) or(other call) call {
	if c.kind != unknownCall {
		return c
	}
	return other
}

func (c call) checkMethod(method string) call {
	if c.allow == "" || contains(c.allow, method) {
		return c
	}
	c.kind = wrongMethod
	return c
}

func contains(list, method string) bool {
	for m := range strings.SplitSeq(list, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

func routeStart(path string) call {
	for _, e := range endpoints {
		if path == e.start {
			return call{kind: startCall, endpoint: e.name, allow: "POST"}
		}
	}
	return call{}
}

// routeStatus tells the two dialects that share paths apart by the method.
func routeStatus(method, path string) call {
	if id, ok := between(path, "/document/", "/check-status"); ok {
		return call{kind: statusCall, dialect: bearerDialect, id: id, allow: "GET"}
	}
	byQuery := routeQueryStatus(path)
	byBody := routeBodyStatus(path)
	if byQuery.kind == statusCall && byBody.kind == statusCall {
		byQuery.allow, byBody.allow = "GET, POST", "GET, POST"
		if method == http.MethodGet {
			return byQuery
		}
	}
	return byBody.or(byQuery)
}

func routeQueryStatus(path string) call {
	for _, prefix := range queryStatusPaths {
		if token, ok := between(path, prefix, ".json"); ok {
			return call{kind: statusCall, dialect: queryDialect, id: token, allow: "GET"}
		}
	}
	return call{}
}

func routeBodyStatus(path string) call {
	for _, e := range endpoints {
		if token, ok := between(path, e.status, ".json"); ok {
			return call{kind: statusCall, endpoint: e.name, id: token, allow: "POST"}
		}
	}
	return call{}
}

func routeDocument(method, path string) call {
	if path == "/api/document/upload.json" {
		return call{kind: uploadCall, allow: "POST"}
	}
	if id, ok := between(path, "/api/document/", "/check-status.json"); ok {
		return call{kind: checkCall, id: id, allow: "GET, POST"}
	}
	if id, ok := between(path, "/api/document/", "/remove.json"); ok {
		return call{kind: removeCall, id: id, allow: "DELETE"}
	}
	return call{}
}

// between returns the one path segment that stands between prefix and suffix.
func between(path, prefix, suffix string) (string, bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return "", false
	}
	segment, ok := strings.CutSuffix(rest, suffix)
	return segment, ok && segment != "" && !strings.Contains(segment, "/")
}
