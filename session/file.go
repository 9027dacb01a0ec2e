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
	body, decoder := lenient(body)
	c := cutter{body: body, decoder: decoder}
	if !readObject(decoder, c.file) || int(decoder.InputOffset()) != len(body) {
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

func (c *cutter) file(name string, _ int) bool {
	if name == "file" && c.decoder.PeekKind() == '{' {
		c.first = true
		return readObject(c.decoder, c.fileMember)
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
		c.done = int(c.decoder.InputOffset())
	case c.first && c.done == from: // what stood before it is left out, so the comma has to go
		c.done += len(c.body[from:]) - len(bytes.TrimLeft(c.body[from:], " \t\r\n,"))
		c.first = false
	default:
		c.first = false
	}
	return true
}
