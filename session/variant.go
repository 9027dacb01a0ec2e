package session

import (
	"encoding/binary"
	"net/http"
	"slices"
)

// Variant is one way to ask for a session: the session itself (endpoint, token,
// credential), the locale, and any further field of the request that might change
// the answer. It is immutable and owns its memory.
//
// It carries the credential in clear: never print one with a %v verb.
type Variant struct {
	Endpoint   *Endpoint
	Locale     int // index into Endpoint.Locales
	Token      string
	Credential string

	query  string // further query parameters: sorted, encoded
	fields string // further body members: a canonical JSON object, or empty
	key    string
}

// Key tells variants apart, except by their locale. Equal keys mean that the same
// caller asks the same question. It holds the credential.
func (v *Variant) Key() string { return v.key }

// SessionKey is the part of a variant's key that its session's other variants share. It
// allocates nothing.
func SessionKey(key string) string {
	_, end := binary.Uvarint([]byte(key[:min(len(key), binary.MaxVarintLen64)]))
	for range 2 { // token and credential
		length, n := binary.Uvarint([]byte(key[end:min(len(key), end+binary.MaxVarintLen64)]))
		end += n + int(length)
	}
	return key[:end]
}

// OfKey returns the variant that asks in the plainest way for the session of which a key is, see
// [Variant.Key].
func (t *Table) OfKey(key string) (*Variant, error) {
	index, n := binary.Uvarint([]byte(key[:min(len(key), binary.MaxVarintLen64)]))
	if n <= 0 || index >= uint64(len(t.endpoints)) {
		return nil, errDurable
	}
	token, rest, ok := cutPart(key[n:])
	if !ok {
		return nil, errDurable
	}
	credential, _, ok := cutPart(rest)
	if !ok {
		return nil, errDurable
	}
	return t.endpoints[index].variant(0, token, credential)
}

// ShortToken is as much of the token as logs may show.
func (v *Variant) ShortToken() string { return ShortToken(v.Token) }

// ShortToken cuts a token to the part that logs may show: its first 8 bytes, and
// never more than half of it.
func ShortToken[T string | []byte](token T) T {
	return token[:min(8, len(token)/2)]
}

// In returns the variant that asks the same in another locale.
func (v *Variant) In(locale int) *Variant {
	other := *v
	other.Locale = locale
	return &other
}

// Plain returns the variant that asks for the same session with no further fields. It is v
// itself if that has none.
func (v *Variant) Plain() *Variant {
	if v.query == "" && v.fields == "" {
		return v
	}
	plain := *v
	plain.query, plain.fields = "", ""
	plain.key = plain.makeKey()
	return &plain
}

// Target returns the request target that asks the upstream: path and query.
func (v *Variant) Target() string {
	target := v.Endpoint.Path(v.Locale, v.Token)
	query := v.query
	if v.Endpoint.Credential.In == InQuery {
		query = encodeParameter(v.Endpoint.Credential.Name, v.Credential)
		if v.query != "" {
			query += "&" + v.query
		}
	}
	if query == "" {
		return target
	}
	return target + "?" + query
}

// Body returns the JSON body that asks the upstream, or nil where there is none.
// It is encoded anew from what was read, so that the upstream cannot read anything else
// out of it.
func (v *Variant) Body() []byte {
	if v.Endpoint.Method != http.MethodPost || v.Endpoint.Credential.In != InBody && v.fields == "" {
		return nil
	}
	body := []byte{'{'}
	if v.Endpoint.Credential.In == InBody {
		body = appendQuoted(body, v.Endpoint.Credential.Name)
		body = append(body, ':')
		body = appendQuoted(body, v.Credential)
	}
	if len(v.fields) > len("{}") {
		if len(body) > 1 {
			body = append(body, ',')
		}
		return append(body, v.fields[1:]...)
	}
	return append(body, '}')
}

// Header returns the header field that carries the credential, or two empty
// strings where it stands elsewhere.
func (v *Variant) Header() (name, value string) {
	if v.Endpoint.Credential.In != InHeader {
		return "", ""
	}
	if v.Endpoint.Credential.Name == authorization {
		return authorization, bearer + v.Credential
	}
	return v.Endpoint.Credential.Name, v.Credential
}

// appendKey builds what Variant.Key returns. Each part carries its length, so no
// choice of parts can imitate another.
func appendKey[P string | []byte](dst []byte, e *Endpoint, token, credential, query, fields P) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.index))
	return slices.Clip(appendParts(dst, token, credential, query, fields))
}
