package session

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// WithoutFile returns an answer's JSON object without the document, /file/content,
// and whether there was one. Everything else stays as it is byte for byte, except for
// a byte order mark, white space around, and bytes that are not UTF-8, which become
// U+FFFD. What is returned may share memory with body, but never with the document. It
// fails with [ErrUnreadable] if body is no JSON object.
func WithoutFile(body []byte) (rest []byte, omitted bool, err error) {
	body = bytes.Trim(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	c := cutter{body: body, decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if !c.object(c.file) || int(c.decoder.InputOffset()) != len(body) {
		return nil, false, ErrUnreadable
	}
	if omitted = c.done > 0; omitted {
		body = append(c.rest, body[c.done:]...)
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	return body, omitted, nil
}

// cutter goes through an answer once and leaves out what is not wanted.
type cutter struct {
	body    []byte
	decoder *jsontext.Decoder
	rest    []byte // of body, up to done
	done    int
	first   bool // no member of the file stands in rest yet
}

func (c *cutter) offset() int { return int(c.decoder.InputOffset()) }

// object reads an object; member reads the value of each of its members, which begins
// at from with the comma before it.
func (c *cutter) object(member func(name string, from int) bool) bool {
	if token, err := c.decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for c.decoder.PeekKind() == '"' {
		from := c.offset()
		name, err := c.decoder.ReadToken()
		if err != nil || !member(name.String(), from) {
			return false
		}
	}
	_, err := c.decoder.ReadToken()
	return err == nil
}

func (c *cutter) file(name string, _ int) bool {
	if name == "file" && c.decoder.PeekKind() == '{' {
		c.first = true
		return c.object(c.fileMember)
	}
	return c.decoder.SkipValue() == nil
}

func (c *cutter) fileMember(name string, from int) bool {
	if c.decoder.SkipValue() != nil {
		return false
	}
	switch {
	case name == "content":
		c.rest = append(c.rest, c.body[c.done:from]...)
		c.done = c.offset()
	case c.first && c.done == from: // what stood before it is left out, so the comma has to go
		c.done += len(c.body[from:]) - len(bytes.TrimLeft(c.body[from:], " \t\r\n,"))
		c.first = false
	default:
		c.first = false
	}
	return true
}
