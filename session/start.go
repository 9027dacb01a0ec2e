package session

import (
	"net/http"
	"slices"
	"sync"

	"pollbridge/internal/jsontap"
)

// Start is what the request line of a start call says: a call that begins a session
// of an endpoint, and answers its token.
type Start struct {
	Endpoint *Endpoint
	Locale   int
}

// startPaths are the calls that start what is asked for at the status paths of the
// built-in dialects, both without the locale's prefix. All of them are POST, and carry
// the credential where the status request does. A custom endpoint at one of these
// status paths is started in the same way; others have no start call that is known.
var startPaths = func() map[string]string {
	paths := map[string]string{}
	for _, d := range dialects {
		for _, c := range d.calls {
			paths[c.before] = c.start
		}
	}
	return paths
}()

// StartPath returns the path of the call that starts the endpoint's sessions in a
// locale, or an empty string where none is known.
func (e *Endpoint) StartPath(locale int) string {
	path, known := startPaths[e.before]
	if !known || e.after != ".json" {
		return ""
	}
	return e.Locales[locale].Prefix + path
}

// addStarts notes how e's sessions are started. A path that would start sessions of
// two endpoints says nothing about either.
func (t *Table) addStarts(e *Endpoint) {
	for l := range e.Locales {
		path := e.StartPath(l)
		if path == "" {
			continue
		}
		start := Start{Endpoint: e, Locale: l}
		if _, taken := t.starts[path]; taken {
			start.Endpoint = nil
		}
		t.starts[path] = start
	}
}

// Start compares a request line with the start calls that are known, byte for byte as
// [Table.Match] does. It allocates nothing.
func (t *Table) Start(method, path []byte) (Start, bool) {
	start, ok := t.starts[string(path)]
	if !ok || start.Endpoint == nil || string(method) != http.MethodPost {
		return Start{}, false
	}
	return start, true
}

// Credential returns what finds the credential of the call, which is to be shown the body.
func (s Start) Credential(query []byte, header Header) *StartCredential {
	r := Request{endpoint: s.Endpoint}
	own := s.Endpoint.Credential
	c := &StartCredential{name: own.Name}
	switch {
	case !r.readHeader(header) || !r.readQuery(query):
	case own.In == InBody:
		c.body = jsontap.New(maxCredential, own.Name)
	default:
		c.found = string(r.credential)
	}
	return c
}

// StartCredential finds the credential of a start call. Where that stands in the JSON body
// it is read while the body passes by, in pieces of any size, without holding the document
// in it. What else is wrong with the body is for the upstream to say, which alone knows
// whether a session began, which may be while the body is still read: it is safe for
// concurrent use. Create it with [Start.Credential].
type StartCredential struct {
	name  string // of the credential's member
	found string // outside of the body

	mu   sync.Mutex
	body *jsontap.Tap // nil if the credential does not stand there; guarded by mu
}

// Write reads a piece of the body. It never fails, and does not keep p.
func (c *StartCredential) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.body == nil {
		return len(p), nil
	}
	return c.body.Write(p)
}

// Value returns the credential, once the whole body was written. It reports false if there
// is not exactly one, if another reader might see another one, or if what is not nested in
// the body takes more than 64 KiB, long strings left out.
func (c *StartCredential) Value() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.body == nil {
		return c.found, c.found != ""
	}
	return c.body.Value(c.name)
}

// ReadToken reads the answer of a start call, its HTTP status and its whole body: the
// token of the session that has begun. It reports false where none has, or where the
// answer does not say so clearly.
func (s Start) ReadToken(status int, body []byte) (token string, ok bool) {
	if status < 200 || status > 299 {
		return "", false
	}
	state, begun := member{at: s.Endpoint.Answer.Status}, member{at: pointer{"token"}}
	if readable, once := pick(body, &state, &begun); !readable || !once || begun.value.Kind() != '"' {
		return "", false
	}
	if state := state.text(); state != "ok" && !slices.Contains(s.Endpoint.Answer.Succeeded, state) {
		return "", false
	}
	return begun.text(), validToken([]byte(begun.text()))
}
