// Package jsontap reads a few string members out of a JSON object while its text
// passes by, in pieces of any size. What is nested and what stands in long strings, such
// as a document, is left out at once, so that little is held of it.
package jsontap

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// most bounds the bytes that a Tap holds. An object with more is none to it.
const most = 64 << 10

// Tap is an [io.Writer] that reads one JSON object. It steps over everything that is
// nested and over long strings without checking them. Create it with [New]; it is not safe for concurrent use.
type Tap struct {
	maxValue  int
	maxString int    // bytes of the longest string that is kept; a longer one becomes ""
	kept      []byte // the text without what is left out

	depth    int // of brackets
	inString bool
	escaped  bool // the last byte of the string was a backslash
	tooLong  bool // so is the string
	begin    int  // of the string, in kept
}

// New returns a Tap for the members of those names, whose values are at most maxValue
// bytes long as they are written.
func New(maxValue int, names ...string) *Tap {
	t := &Tap{maxValue: maxValue, maxString: maxValue}
	for _, name := range names {
		t.maxString = max(t.maxString, len(`\u0000`)*len(name)+len(`"`)) // every byte of it escaped
	}
	return t
}

// Write reads a piece of the text. It never fails, and does not keep p.
func (t *Tap) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && len(t.kept) <= most; {
		n := t.step(rest)
		rest = rest[n:]
	}
	return len(p), nil
}

// step reads a byte, or several in a string, and returns how many.
func (t *Tap) step(p []byte) (n int) {
	n = 1
	switch c := p[0]; {
	case t.escaped:
		t.escaped = false
	case t.inString && c == '\\':
		t.escaped = true
	case t.inString && c != '"':
		n = plain(p)
	case c == '"':
		t.inString = !t.inString
		t.tooLong = false
		if t.inString {
			t.begin = len(t.kept)
		}
	case c == '{', c == '[':
		if t.depth++; t.depth == 2 {
			t.kept = append(t.kept, c)
		}
	case c == '}', c == ']':
		t.depth--
	}
	if t.depth < 2 {
		t.keep(p[:n])
	}
	return n
}

func (t *Tap) keep(p []byte) {
	if t.inString && !t.tooLong && len(t.kept)+len(p)-t.begin > t.maxString {
		t.tooLong, t.kept = true, t.kept[:t.begin+1]
	}
	if !t.tooLong {
		t.kept = append(t.kept, p...)
	}
}

// plain is how many bytes of a string stand before a quote or a backslash. Both are
// searched for a stretch at a time, so that a document costs little.
func plain(p []byte) int {
	const stretch = 4 << 10
	p = p[:min(len(p), stretch)]
	if quote := bytes.IndexByte(p, '"'); quote >= 0 {
		p = p[:quote]
	}
	if backslash := bytes.IndexByte(p, '\\'); backslash >= 0 {
		p = p[:backslash]
	}
	return len(p)
}

// Whole reports whether one object was written from its first bracket to its last, and
// nothing else.
func (t *Tap) Whole() bool { return t.each(func(string, jsontext.Value) {}) }

// Value returns the value of a member, once the whole object was written. It reports
// false where there is not exactly one, a string that is not empty, or where another
// reader might see another one: in a second member of that name, also in other letter
// case, or in text that can be decoded in two ways.
func (t *Tap) Value(name string) (value string, ok bool) {
	members := 0
	whole := t.each(func(found string, text jsontext.Value) {
		if !strings.EqualFold(found, name) {
			return
		}
		members++
		if decoded, err := jsontext.AppendUnquote(nil, text); err == nil && found == name && len(text) <= t.maxValue {
			value = string(decoded)
		}
	})
	if !whole || members != 1 || value == "" {
		return "", false
	}
	return value, true
}

// each yields the members of the object; it reports whether there is one, and nothing
// else.
func (t *Tap) each(yield func(name string, value jsontext.Value)) bool {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(t.kept), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' || len(t.kept) > most {
		return false
	}
	for decoder.PeekKind() == '"' {
		text, err := decoder.ReadValue()
		if err != nil {
			return false
		}
		name, err := jsontext.AppendUnquote(nil, text)
		if err != nil {
			return false
		}
		value, err := decoder.ReadValue()
		if err != nil {
			return false
		}
		yield(string(name), value)
	}
	if _, err := decoder.ReadToken(); err != nil {
		return false
	}
	_, err := decoder.ReadToken()
	return err == io.EOF
}
