package simulator

import (
	"io"
	"unicode/utf8"
)

// shortTexts passes JSON on with every string cut to maxKeptText bytes, so that a
// body with a whole document in it can be read without holding the document.
// Outside strings nothing changes: what was no JSON stays none.
type shortTexts struct {
	r        io.Reader
	inText   bool
	dropping bool // the character being read is beyond the limit
	escaped  int  // the bytes that still belong to an escape sequence
	length   int  // of the string so far
}

func (s *shortTexts) Read(p []byte) (int, error) {
	for {
		n, err := s.r.Read(p)
		kept := s.cut(p[:n])
		if kept > 0 || err != nil || n == 0 {
			return kept, err
		}
	}
}

// cut closes up what is kept at the front of p and returns its length.
func (s *shortTexts) cut(p []byte) int {
	kept := 0
	for _, b := range p {
		if s.keeps(b) {
			p[kept] = b
			kept++
		}
	}
	return kept
}

func (s *shortTexts) keeps(b byte) bool {
	switch {
	case !s.inText:
		s.inText, s.length, s.dropping = b == '"', 0, false
		return true
	case s.escaped > 0:
		// Kept or dropped with the backslash before it: half a sequence would make
		// good JSON bad.
		s.escaped--
		if b == 'u' {
			s.escaped = len("0000")
		}
	case b == '"':
		s.inText = false
		return true
	case b == '\\':
		s.escaped = 1
		s.dropping = s.length >= maxKeptText
	case utf8.RuneStart(b):
		s.dropping = s.length >= maxKeptText
	}
	s.length++
	return !s.dropping
}
