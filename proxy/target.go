package proxy

import (
	"bytes"
	"strings"
)

// target is what a request is for.
type target struct {
	raw         []byte // path and query, as received
	path, query []byte // parts of it
	authority   string // that a target in absolute form names instead of Host
}

// readTarget reads the target of a request: a path or, in absolute form, a URL (RFC
// 9112, 3.2). The authority of the latter never chooses where the request goes.
func readTarget(raw []byte) (target, error) {
	var t target
	if scheme, rest, absolute := bytes.Cut(raw, []byte("://")); absolute && len(raw) > 0 && raw[0] != '/' {
		if !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
			return t, ambiguous("the request target has a scheme other than http and https")
		}
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		t.authority = string(rest[:end])
		if t.authority == "" || strings.ContainsAny(t.authority, "@\\") {
			return t, ambiguous("the request target has no plain host")
		}
		if raw = rest[end:]; len(raw) == 0 || raw[0] == '?' {
			raw = append([]byte("/"), raw...)
		}
	}
	if len(raw) == 0 || raw[0] != '/' {
		return t, ambiguous("the request target is not a path")
	}
	t.raw = raw
	t.path, t.query, _ = bytes.Cut(raw, []byte("?"))
	return t, nil
}
