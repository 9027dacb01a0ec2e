package session

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBody is the size in bytes up to which the body of a status request is read.
// Larger ones are no status requests: they pass through.
const MaxBody = 64 << 10

const (
	authorization = "Authorization"
	bearer        = "Bearer "
)

// Incoming is what a request carries besides method and path. All of it belongs
// to the caller and is not kept.
type Incoming struct {
	Query []byte // raw, without the question mark
	Body  []byte // whole; at most MaxBody bytes
	// Header is asked for Authorization and for the field that the endpoint names.
	// Nil means that there are no header fields.
	Header Header
}

// Header gives all values of a header field, in their order. It may reuse the
// slice at the next call.
type Header interface {
	PeekAll(name string) [][]byte
}

// Request is a status request as it was read. The zero value is ready for
// [Request.Read] and can be used again and again, which saves its buffers; it is
// not safe for concurrent use.
type Request struct {
	endpoint *Endpoint
	locale   int

	token, credential []byte
	query, fields     []byte
	key               []byte

	source  bytes.Buffer
	decoder jsontext.Decoder
	name    []byte
	members []byte
}

// Read reads a request that m matched. It reports false for whatever is not a
// status request with exactly one credential in the part that the endpoint
// names, or could be read in more than one way: that must pass through, neither
// cached nor collapsed. After false, r holds nothing.
func (r *Request) Read(m Match, in Incoming) bool {
	r.endpoint, r.locale = m.Endpoint, m.Locale
	r.token = append(r.token[:0], m.Token...)
	r.credential, r.query, r.fields, r.key = r.credential[:0], r.query[:0], r.fields[:0], r.key[:0]
	if !r.readHeader(in.Header) || !r.readQuery(in.Query) || !r.readBody(in.Body) || len(r.credential) == 0 {
		r.endpoint, r.key = nil, r.key[:0]
		return false
	}
	r.key = appendKey(r.key, r.endpoint, r.token, r.credential, r.query, r.fields)
	return true
}

// Endpoint returns the endpoint that is asked.
func (r *Request) Endpoint() *Endpoint { return r.endpoint }

// Locale returns the index of the locale that is asked for.
func (r *Request) Locale() int { return r.locale }

// Key returns what [Variant.Key] would, valid until the next Read.
func (r *Request) Key() []byte { return r.key }

// Variant returns what was read in memory of its own.
func (r *Request) Variant() *Variant {
	return &Variant{
		Endpoint: r.endpoint, Locale: r.locale,
		Token: string(r.token), Credential: string(r.credential),
		query: string(r.query), fields: string(r.fields), key: string(r.key),
	}
}

// readHeader takes the credential from the header if it stands there. An
// Authorization that the endpoint does not ask for is a second credential.
func (r *Request) readHeader(header Header) bool {
	own := r.endpoint.Credential
	if header == nil {
		return own.In != InHeader
	}
	bearing := own.In == InHeader && own.Name == authorization
	if !bearing && len(header.PeekAll(authorization)) > 0 {
		return false
	}
	if own.In != InHeader {
		return true
	}
	values := header.PeekAll(own.Name)
	if len(values) != 1 {
		return false
	}
	value := values[0]
	if bearing {
		if len(value) <= len(bearer) || !strings.EqualFold(string(value[:len(bearer)]), bearer) {
			return false
		}
		value = bytes.Trim(value[len(bearer):], " \t")
	}
	r.credential = append(r.credential, value...)
	return true
}

// readBody reads a JSON object: the credential if it stands there, and every
// further member but a token that only repeats the path's. A GET request has no body
// but such a token.
func (r *Request) readBody(body []byte) bool {
	if r.endpoint.Method != http.MethodPost {
		token, isToken := bytes.CutPrefix(body, []byte("token=")) // a form, as Dokobit's PHP client sends it with a GET
		return len(body) == 0 || isToken && bytes.Equal(token, r.token)
	}
	if len(body) == 0 {
		return r.endpoint.Credential.In != InBody
	}
	if len(body) > MaxBody {
		return false
	}
	r.source.Reset()
	r.source.Write(body)
	r.decoder.Reset(&r.source) // refuses duplicate names and invalid UTF-8
	if token, err := r.decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	r.members = append(r.members[:0], '{')
	for r.decoder.PeekKind() == '"' {
		if !r.readMember() {
			return false
		}
	}
	if _, err := r.decoder.ReadToken(); err != nil { // the closing brace
		return false
	}
	if rest := body[r.decoder.InputOffset():]; len(bytes.Trim(rest, " \t\r\n")) > 0 {
		return false
	}
	r.members = append(r.members, '}')
	return r.keepFields()
}

// readMember reads one name and its value.
func (r *Request) readMember() bool {
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return false
	}
	if r.name, err = jsontext.AppendUnquote(r.name[:0], raw); err != nil {
		return false
	}
	own := r.endpoint.Credential
	if own.In == InBody && string(r.name) == own.Name {
		value, err := r.decoder.ReadValue()
		if err != nil || value.Kind() != '"' {
			return false
		}
		r.credential, err = jsontext.AppendUnquote(r.credential[:0], value)
		return err == nil
	}
	if own.In == InBody && strings.EqualFold(string(r.name), own.Name) {
		return false // another parser might take this one for the credential
	}
	if len(r.members) > 1 {
		r.members = append(r.members, ',')
	}
	start := len(r.members)
	r.members = append(r.members, raw...)
	value, err := r.decoder.ReadValue()
	if err != nil {
		return false
	}
	if string(r.name) == "token" && r.repeatsToken(value) {
		r.members = r.members[:max(1, start-1)]
		return true
	}
	r.members = append(r.members, ':')
	r.members = append(r.members, value...)
	return true
}

func (r *Request) repeatsToken(value jsontext.Value) bool {
	if value.Kind() != '"' {
		return false
	}
	var err error
	r.name, err = jsontext.AppendUnquote(r.name[:0], value)
	return err == nil && bytes.Equal(r.name, r.token)
}

// keepFields makes further members canonical. Numbers keep their digits: rounding
// them could make one question of two.
func (r *Request) keepFields() bool {
	if len(r.members) == len("{}") {
		if r.endpoint.Credential.In != InBody {
			r.fields = append(r.fields, r.members...)
		}
		return true
	}
	fields := jsontext.Value(r.members)
	if err := fields.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil || ambiguousNames(fields) {
		return false
	}
	r.fields = append(r.fields, fields...)
	return true
}

// ambiguousNames reports whether an object, or one in it, has names that differ only
// in case. To a server that does not mind case, their order matters, and it is lost
// when they are sorted.
func ambiguousNames(canonical []byte) bool {
	// No escape in canonical JSON depends on case, and names that stand twice are not valid.
	return !jsontext.Value(bytes.ToLower(bytes.ToUpper(canonical))).IsValid()
}

func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // fails for invalid UTF-8 only, which was refused when it was read
	return dst
}
