package session

import (
	"net/http"
	"slices"

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

// Credential returns the credential of a start call that carries it outside of the
// body; it reports false where it does not, or where a query or a header could be read
// in more than one way. A credential in the body is for [StartBody] to find.
func (s Start) Credential(query []byte, header Header) (string, bool) {
	r := Request{endpoint: s.Endpoint}
	if !r.readHeader(header) || !r.readQuery(query) || len(r.credential) == 0 {
		return "", false
	}
	return string(r.credential), true
}

// InBody returns a reader of the body where the credential stands there, else nil. It
// returns nil as well where the query or the header has another credential.
func (s Start) InBody(query []byte, header Header) *StartBody {
	r := Request{endpoint: s.Endpoint}
	if s.Endpoint.Credential.In != InBody || !r.readHeader(header) || !r.readQuery(query) {
		return nil
	}
	name := s.Endpoint.Credential.Name
	return &StartBody{name, jsontap.New(maxCredential, name)}
}

// StartBody reads the credential out of the JSON body of a start call while that
// passes by, in pieces of any size, without holding the document in it. What else is
// wrong with the body is for the upstream to say, which alone knows whether a session
// began. Create it with [Start.InBody]; it is not safe for concurrent use.
type StartBody struct {
	name string // of the credential's member
	tap  *jsontap.Tap
}

// Write reads a piece of the body. It never fails, and does not keep p.
func (b *StartBody) Write(p []byte) (int, error) { return b.tap.Write(p) }

// Credential returns the credential, once the whole body was written. It reports false
// if there is not exactly one, if another reader might see another one, or if what is not
// nested takes more than 64 KiB, long strings left out.
func (b *StartBody) Credential() (string, bool) { return b.tap.Value(b.name) }

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
