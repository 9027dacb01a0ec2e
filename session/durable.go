package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// Identity is what [Variant.Key] says in a form that is the same in every process,
// whatever endpoints that has: it tells variants apart, except by their locale. It
// holds the credential.
func (v *Variant) Identity() []byte {
	return appendParts(nil, v.Endpoint.Name, v.Token, v.Credential, v.query, v.fields)
}

// durableVersion is the first byte of the durable form.
const durableVersion = 1

// AppendDurable appends a form of the variant that another process can read with
// [Table.ReadDurable]. It holds the credential: it has to be encrypted where it is
// stored.
func (v *Variant) AppendDurable(dst []byte) []byte {
	dst = append(dst, durableVersion)
	return appendParts(dst, v.Endpoint.Name, v.Endpoint.Locales[v.Locale].Name, v.Token, v.Credential, v.query, v.fields)
}

func appendParts[P string | []byte](dst []byte, parts ...P) []byte {
	for _, part := range parts {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return dst
}

// cutPart is the inverse of appendParts for one part.
func cutPart(parts string) (part, rest string, ok bool) {
	length, n := binary.Uvarint([]byte(parts[:min(len(parts), binary.MaxVarintLen64)]))
	if n <= 0 || length > uint64(len(parts)-n) {
		return "", "", false
	}
	return parts[n : n+int(length)], parts[n+int(length):], true
}

// maxCredential bounds what is taken for a credential.
const maxCredential = 4 << 10

var errDurable = errors.New("session: not the durable form of a variant")

// ReadDurable reads what [Variant.AppendDurable] wrote, and does not keep it. It fails
// for a variant that could not be asked for at t's endpoints; the error holds neither
// token nor credential.
func (t *Table) ReadDurable(durable []byte) (*Variant, error) {
	if len(durable) == 0 {
		return nil, errDurable
	}
	if durable[0] != durableVersion {
		return nil, fmt.Errorf("session: a variant was stored in the form %d, which this version does not know", durable[0])
	}
	var parts [6]string
	rest, ok := string(durable[1:]), true
	for i := range parts {
		if parts[i], rest, ok = cutPart(rest); !ok {
			return nil, errDurable
		}
	}
	if rest != "" {
		return nil, errDurable
	}
	v, err := t.Variant(parts[0], parts[2], parts[3], parts[1])
	if err != nil {
		return nil, fmt.Errorf("session: a stored variant cannot be asked for: %w", err)
	}
	parts[4] = v.Endpoint.withoutIgnored(parts[4])
	if parts[4] == "" && parts[5] == v.fields {
		return v, nil
	}
	v.query, v.fields = parts[4], parts[5]
	v.key = v.makeKey()
	if !v.readsAsItself() {
		return nil, fmt.Errorf("session: a stored variant cannot be asked for at the endpoint %q as it is now", v.Endpoint.Name)
	}
	return v, nil
}

// VariantError says which part of a variant is wrong.
type VariantError struct {
	Field   string // endpoint, token, credential or locale
	Problem string // in words for whoever gave it; holds neither token nor credential
}

// Error names the field and its problem.
func (e *VariantError) Error() string { return e.Field + ": " + e.Problem }

// Variant returns the variant that asks for a session in the plainest way, with no
// further fields, as most clients do. An empty locale stands for the endpoint's first
// one. The error joins a *VariantError for each part that is wrong.
func (t *Table) Variant(endpoint, token, credential, locale string) (*Variant, error) {
	e, known := t.Endpoint(endpoint)
	if !known {
		unknown := &VariantError{"endpoint", fmt.Sprintf("%.64q is not known: want one of %s", endpoint, t.names())}
		return nil, errors.Join(unknown, checkToken(token)) // the rest depends on the endpoint
	}
	l, known := e.locale(locale)
	v, err := e.variant(l, token, credential)
	if !known {
		err = errors.Join(err, &VariantError{"locale", fmt.Sprintf("%.64q is not known: want one of %s", locale, e.localeNames())})
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Variant returns the variant that asks for a session that has begun, in the plainest
// way. The error is as that of [Table.Variant].
func (s Start) Variant(token, credential string) (*Variant, error) {
	return s.Endpoint.variant(s.Locale, token, credential)
}

func (e *Endpoint) variant(locale int, token, credential string) (*Variant, error) {
	wrong := checkToken(token)
	if problem := e.Credential.problem(credential); problem != "" {
		wrong = errors.Join(wrong, &VariantError{"credential", problem})
	}
	if wrong != nil {
		return nil, wrong
	}
	v := &Variant{Endpoint: e, Locale: locale, Token: token, Credential: credential}
	v.key = v.makeKey()
	return v, nil
}

func checkToken(token string) error {
	if validToken([]byte(token)) {
		return nil
	}
	return &VariantError{"token", fmt.Sprintf("want 1 to %d letters, digits, - and _", maxTokenLength)}
}

func (v *Variant) makeKey() string {
	return string(appendKey(nil, v.Endpoint, v.Token, v.Credential, v.query, v.fields))
}

// problem is what is wrong with a credential that has to be sent in this part, or
// empty.
func (c Credential) problem(credential string) string {
	switch {
	case credential == "":
		return "is empty"
	case len(credential) > maxCredential:
		return fmt.Sprintf("is longer than %d bytes", maxCredential)
	case c.In == InBody && !utf8.ValidString(credential):
		return "is not valid UTF-8"
	case c.In == InQuery && strings.ContainsFunc(credential, isControl):
		return "has control characters in it"
	case c.In == InHeader && (!httpguts.ValidHeaderFieldValue(credential) || strings.Trim(credential, " \t") != credential):
		return "cannot stand in a header field"
	}
	return ""
}

func (e *Endpoint) locale(name string) (index int, known bool) {
	index = slices.IndexFunc(e.Locales, func(l Locale) bool { return l.Name == name })
	return max(0, index), index >= 0 || name == ""
}

func (e *Endpoint) localeNames() string {
	var names []string
	for _, locale := range e.Locales {
		if locale.Name != "" {
			names = append(names, locale.Name)
		}
	}
	if names == nil {
		return "none: this endpoint has no locales"
	}
	return strings.Join(names, ", ")
}

func (t *Table) names() string {
	var names []string
	for _, e := range t.endpoints {
		names = append(names, e.Name)
	}
	return strings.Join(names, ", ")
}

// readsAsItself reports whether a client that asked what v asks would be read as v.
func (v *Variant) readsAsItself() bool {
	_, query, _ := strings.Cut(v.Target(), "?")
	if v.Endpoint.Method != http.MethodPost && v.fields != "" {
		return false
	}
	in := Incoming{Query: []byte(query), Body: v.Body()}
	if name, value := v.Header(); name != "" {
		in.Header = oneField{name, value}
	}
	var r Request
	return r.Read(Match{v.Endpoint, v.Locale, []byte(v.Token)}, in) && bytes.Equal(r.Key(), []byte(v.key))
}

// oneField is a header with one field.
type oneField struct{ name, value string }

func (f oneField) PeekAll(name string) [][]byte {
	if name != f.name {
		return nil
	}
	return [][]byte{[]byte(f.value)}
}
