package session

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// StartBody reads the credential out of the JSON body of a start call while that
// passes by, in pieces of any size. It holds no more of it than a name and the
// credential, because the document in it may be large, and steps over everything else
// without checking it: that is for the upstream to do, which alone says whether a
// session began. Create it with [Start.InBody]; it is not safe for concurrent use.
type StartBody struct {
	name string // of the credential's member

	step    func(*StartBody, []byte) int // reads on, and returns how many bytes it took
	text    []byte                       // a string that is kept, with its quotes
	keep    int                          // bytes of the string that may be kept; 0: it is skipped
	escaped bool                         // the last byte of a string was a backslash
	depth   int                          // of brackets in a value that is skipped
	inside  bool                         // a string of such a value

	ours       bool // the value is the credential's
	credential string
	broken     bool // there is no credential, or more than one
	ended      bool
}

// maxCredential bounds what is taken for a credential.
const maxCredential = 4 << 10

// Write reads a piece of the body. It never fails, and does not keep p.
func (b *StartBody) Write(p []byte) (int, error) {
	if b.step == nil {
		b.step = (*StartBody).open
	}
	for rest := p; len(rest) > 0 && !b.broken; {
		rest = rest[b.step(b, rest):]
	}
	return len(p), nil
}

var _ io.Writer = (*StartBody)(nil)

// Credential returns the credential, once the whole body was written. It reports false
// if there is not exactly one, or if another reader might see another one.
func (b *StartBody) Credential() (string, bool) {
	if b.broken || !b.ended || b.credential == "" {
		return "", false
	}
	return b.credential, true
}

// The steps: each is for what may stand at a place, and says which comes next.

func (b *StartBody) open(p []byte) int {
	return b.expect(p, '{', (*StartBody).firstName)
}

func (b *StartBody) firstName(p []byte) int {
	if i := spaces(p); i > 0 {
		return i
	}
	if p[0] == '}' {
		return b.end()
	}
	return b.nextName(p)
}

func (b *StartBody) nextName(p []byte) int {
	if i := spaces(p); i > 0 {
		return i
	}
	// The longest way to write a name: every byte of it escaped.
	b.text, b.keep = b.text[:0], len(`\u0000`)*len(b.name)+len(`""`)
	return b.expect(p, '"', (*StartBody).inName)
}

func (b *StartBody) inName(p []byte) int {
	n, ended := b.readString(p)
	if ended {
		b.step = (*StartBody).colon
		b.ours = false
		if b.keep > 0 {
			name, ok := unquoted(b.text)
			b.ours = name == b.name
			b.broken = b.broken || !ok || !b.ours && strings.EqualFold(name, b.name) || b.ours && b.credential != ""
		}
	}
	return n
}

func (b *StartBody) colon(p []byte) int { return b.expect(p, ':', (*StartBody).value) }

func (b *StartBody) value(p []byte) int {
	if i := spaces(p); i > 0 {
		return i
	}
	b.text, b.keep, b.escaped = append(b.text[:0], '"'), 0, false
	switch p[0] {
	case '"':
		b.step = (*StartBody).inString
		if b.ours {
			b.keep = maxCredential
		}
		return 1
	case '{', '[':
		b.depth, b.inside = 0, false
		b.step = (*StartBody).nested
	case ',', '}', ']', ':':
		b.broken = true
	default:
		b.step = (*StartBody).literal
	}
	b.broken = b.broken || b.ours // it has to be a string
	return 0
}

func (b *StartBody) inString(p []byte) int {
	n, ended := b.readString(p)
	if ended {
		b.step = (*StartBody).comma
		if b.ours {
			credential, ok := unquoted(b.text)
			b.credential = credential
			b.broken = b.broken || !ok || b.keep == 0 || credential == ""
		}
	}
	return n
}

func (b *StartBody) literal(p []byte) int {
	end := bytes.IndexAny(p, ",} \t\r\n")
	if end < 0 {
		return len(p)
	}
	b.step = (*StartBody).comma
	return end
}

func (b *StartBody) nested(p []byte) int {
	for i := 0; i < len(p); {
		if b.inside {
			n, ended := b.readString(p[i:])
			b.inside = !ended
			i += n
			continue
		}
		switch p[i] {
		case '"':
			b.inside, b.escaped = true, false
		case '{', '[':
			b.depth++
		case '}', ']':
			if b.depth--; b.depth == 0 {
				b.step = (*StartBody).comma
				return i + 1
			}
		}
		i++
	}
	return len(p)
}

func (b *StartBody) comma(p []byte) int {
	if i := spaces(p); i > 0 {
		return i
	}
	if p[0] == '}' {
		return b.end()
	}
	return b.expect(p, ',', (*StartBody).nextName)
}

func (b *StartBody) end() int {
	b.ended = true
	b.step = (*StartBody).after
	return 1
}

func (b *StartBody) after(p []byte) int {
	n := spaces(p)
	b.broken = b.broken || n == 0
	return max(1, n)
}

// expect takes one byte, and the white space before it.
func (b *StartBody) expect(p []byte, want byte, next func(*StartBody, []byte) int) int {
	if i := spaces(p); i > 0 {
		return i
	}
	if p[0] == '"' {
		b.text, b.escaped = append(b.text[:0], '"'), false
	}
	b.broken = b.broken || p[0] != want
	b.step = next
	return 1
}

// readString reads on to the end of a string, and keeps it if it is to be kept and not
// longer than it may be.
func (b *StartBody) readString(p []byte) (n int, ended bool) {
	for !ended && n < len(p) {
		switch {
		case b.escaped:
			b.escaped = false
			n++
		case p[n] == '"':
			ended = true
			n++
		case p[n] == '\\':
			b.escaped = true
			n++
		default:
			n += plain(p[n:])
		}
	}
	switch {
	case b.keep == 0:
	case len(b.text)+n > b.keep:
		b.keep = 0
	default:
		b.text = append(b.text, p[:n]...)
	}
	return n, ended
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

func spaces(p []byte) int {
	for i, c := range p {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return i
		}
	}
	return len(p)
}

// unquoted decodes a string, and reports false if that could be done in two ways.
func unquoted(quoted []byte) (string, bool) {
	text, err := jsontext.AppendUnquote(nil, quoted)
	return string(text), err == nil
}
