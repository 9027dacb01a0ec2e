// Package jsontap reads a few string members out of a JSON object while its text
// passes by, in pieces of any size. A body with a whole document in it is so read
// without holding the document: no more is kept than a name and the values wanted.
package jsontap

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Tap is an [io.Writer] that reads one JSON object. It steps over everything that is
// not wanted without checking it. Create it with [New]; it is not safe for concurrent
// use.
type Tap struct {
	members  []member // those wanted
	maxName  int      // bytes of the longest way to write one of their names
	maxValue int

	expect  expectation
	depth   int     // of brackets within the value that is skipped
	current *member // whose value is read; nil: nobody's

	inString bool
	escaped  bool   // the last byte of the string was a backslash
	text     []byte // the string so far, with its quotes
	keep     int    // bytes of the string that may be kept; 0: it is skipped
}

type member struct {
	name, value string
	unclear     bool
}

// expectation is what may come next, outside of strings and besides white space.
type expectation uint8

const (
	expectObject expectation = iota
	expectFirstName
	expectName
	expectColon
	expectValue
	inLiteral // the rest of a number, true, false or null
	inNested  // the rest of an array or object
	expectComma
	expectNothing
	failed // it is no object
)

// New returns a Tap for the members of those names, whose values are at most maxValue
// bytes long as they are written.
func New(maxValue int, names ...string) *Tap {
	t := &Tap{maxValue: maxValue}
	for _, n := range names {
		t.members = append(t.members, member{name: n})
		t.maxName = max(t.maxName, len(`\u0000`)*len(n)+len(`""`)) // every byte of it escaped
	}
	return t
}

// Whole reports whether one object was written from its first bracket to its last, and
// nothing else.
func (t *Tap) Whole() bool { return t.expect == expectNothing }

// Value returns the value of a member, once the whole object was written. It reports
// false where there is not exactly one, a string that is not empty, or where another
// reader might see another one: in a second member of that name, also in other letter
// case, or in text that can be decoded in two ways.
func (t *Tap) Value(name string) (string, bool) {
	for _, m := range t.members {
		if m.name == name && t.Whole() && !m.unclear && m.value != "" {
			return m.value, true
		}
	}
	return "", false
}

// Write reads a piece of the text. It never fails, and does not keep p.
func (t *Tap) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && t.expect != failed; {
		n := 1
		if t.inString {
			n = t.readString(rest)
		} else {
			t.step(rest[0])
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// step reads a byte outside of strings.
func (t *Tap) step(c byte) {
	if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
		if t.expect == inLiteral {
			t.expect = expectComma
		}
		return
	}
	switch t.expect {
	case expectObject:
		t.need(c == '{', expectFirstName)
	case expectFirstName, expectName:
		if c == '}' && t.expect == expectFirstName {
			t.expect = expectNothing
			return
		}
		t.need(c == '"', expectName)
		t.beginString(t.maxName)
	case expectColon:
		t.need(c == ':', expectValue)
	case expectValue:
		t.beginValue(c)
	case inNested:
		t.stepNested(c)
	case inLiteral, expectComma:
		switch {
		case c == ',':
			t.expect = expectName
		case c == '}':
			t.expect = expectNothing
		case t.expect == expectComma:
			t.expect = failed
		}
	default:
		t.expect = failed // more after the object
	}
}

func (t *Tap) need(found bool, next expectation) {
	t.expect = failed
	if found {
		t.expect = next
	}
}

func (t *Tap) beginValue(c byte) {
	if c == '"' {
		keep := 0
		if t.current != nil {
			keep = t.maxValue
		}
		t.beginString(keep)
		return
	}
	if t.current != nil {
		t.current.unclear = true // it has to be a string
	}
	switch c {
	case '{', '[':
		t.expect, t.depth = inNested, 1
	case ',', '}', ']', ':':
		t.expect = failed
	default:
		t.expect = inLiteral
	}
}

func (t *Tap) stepNested(c byte) {
	switch c {
	case '"':
		t.beginString(0)
	case '{', '[':
		t.depth++
	case '}', ']':
		if t.depth--; t.depth == 0 {
			t.expect = expectComma
		}
	}
}

func (t *Tap) beginString(keep int) {
	t.inString, t.escaped, t.keep = true, false, keep
	t.text = append(t.text[:0], '"')
}

// readString reads on to the end of a string, and keeps what of it is to be kept. It
// returns how many bytes it took.
func (t *Tap) readString(p []byte) (n int) {
	for t.inString && n < len(p) {
		switch {
		case t.escaped:
			t.escaped = false
			n++
		case p[n] == '"':
			t.inString = false
			n++
		case p[n] == '\\':
			t.escaped = true
			n++
		default:
			n += plain(p[n:])
		}
	}
	if len(t.text)+n > t.keep {
		t.keep = 0
	} else {
		t.text = append(t.text, p[:n]...)
	}
	if !t.inString {
		t.endString()
	}
	return n
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

func (t *Tap) endString() {
	switch t.expect {
	case expectName:
		t.expect = expectColon
		t.endName()
	case expectValue:
		t.expect = expectComma
		t.endValue()
	}
}

func (t *Tap) endName() {
	t.current = nil
	if t.keep == 0 {
		return // too long for any that is wanted
	}
	found, err := jsontext.AppendUnquote(nil, t.text)
	if err != nil {
		t.expect = failed
		return
	}
	for i := range t.members {
		m := &t.members[i]
		switch {
		case m.name == string(found):
			m.unclear = m.unclear || m.value != ""
			t.current = m
		case strings.EqualFold(m.name, string(found)):
			m.unclear = true
		}
	}
}

func (t *Tap) endValue() {
	if t.current == nil {
		return
	}
	decoded, err := jsontext.AppendUnquote(nil, t.text)
	t.current.unclear = t.current.unclear || t.keep == 0 || err != nil || len(decoded) == 0
	t.current.value = string(decoded)
	t.current = nil
}
