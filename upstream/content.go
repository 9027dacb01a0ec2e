package upstream

import (
	"bytes"
	"strings"
	"sync"

	"pollbridge/internal/hop"
	"pollbridge/session"

	"github.com/valyala/fasthttp"
)

// notKept are further fields of an answer that are not kept: those of one transfer,
// those that the server in front writes itself, and Set-Cookie, since an answer to a
// poll is given to more than one client.
var notKept = map[string]bool{
	"Content-Length": true, "Date": true, "X-Request-Id": true, "Set-Cookie": true,
}

// ofEncoded are fields that are wrong for an answer that was decoded here.
var ofEncoded = map[string]bool{
	"Content-Encoding": true, "Content-Digest": true, "Repr-Digest": true, "Digest": true, "Content-Md5": true,
}

// newContent is what is kept of an answer. That to a page of another origin leaves out
// what is for this origin only.
func newContent(response *fasthttp.Response, body []byte, decoded, crossOrigin bool) *session.Content {
	header := fields(response, func(name string, value []byte) bool {
		return !notKept[name] && !(crossOrigin && isAccessControl(name, value)) &&
			!(decoded && (ofEncoded[name] || name == "Etag" && !bytes.HasPrefix(value, []byte("W/"))))
	})
	return &session.Content{Status: response.StatusCode(), Header: header, Body: body}
}

// isAccessControl reports whether a field says what the page that asked is allowed.
func isAccessControl(name string, _ []byte) bool { return strings.HasPrefix(name, "Access-Control-") }

// fields are those of an answer that are wanted, but for what ends here.
func fields(response *fasthttp.Response, wanted func(name string, value []byte) bool) (all []session.Field) {
	endsHere := hop.Named(response.Header.PeekAll(fasthttp.HeaderConnection))
	for name, value := range response.Header.All() {
		if !endsHere.Has(name) && wanted(string(name), value) {
			all = append(all, session.Field{Name: bytes.Clone(name), Value: bytes.Clone(value)})
		}
	}
	return all
}

// contents lets small pending answers that are equal share their memory: a million
// sessions then hold one `{"status":"waiting"}` between them. Others may be about a person,
// and are not kept for longer than their session.
type contents struct {
	mu    sync.Mutex
	known map[string]*session.Content // guarded by mu
	key   []byte                      // guarded by mu
}

const (
	sharedSize  = 1 << 10 // bytes of an answer that is worth sharing
	sharedCount = 1 << 10 // more different ones than this are no sharing
)

// share returns content, or an equal one that others have already.
func (c *contents) share(content *session.Content) (same *session.Content, shared bool) {
	if len(content.Body) > sharedSize {
		return content, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = appendContent(c.key[:0], content)
	if same, ok := c.known[string(c.key)]; ok {
		return same, true
	}
	if c.known == nil || len(c.known) >= sharedCount {
		c.known = make(map[string]*session.Content)
	}
	c.known[string(c.key)] = content
	return content, false
}

func appendContent(key []byte, content *session.Content) []byte {
	key = append(key, byte(content.Status>>8), byte(content.Status))
	for _, field := range content.Header {
		// Neither a name nor a value can hold these separators.
		key = append(append(append(append(key, field.Name...), ':'), field.Value...), '\n')
	}
	return append(append(key, '\n'), content.Body...)
}
