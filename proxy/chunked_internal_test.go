package proxy

import (
	"strings"
	"testing"
)

// TestChunks: however the bytes come, only the lines of the trailer count.
func TestChunks(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct {
		name, body    string
		ended, bareLF bool
	}{
		{"no trailer", "5\r\na\nb\nc\r\n0\r\n\r\n", true, false},
		{"extensions", "A;x=y\r\n0\r\nX: a\n\r\n\r\n0;z\r\n\r\n", true, false},
		{"a trailer", "1\r\na\r\n0\r\nX: b\r\nY: c\r\n\r\n", true, false},
		{"a bare LF", "1\r\na\r\n0\r\nX: b\nY: c\r\n\r\n", true, true},
		{"a bare LF at the end", "1\r\na\r\n0\r\nX: b\r\n\n", false, true},
		{"what follows", "0\r\n\r\nGET / HTTP/1.1\nX: y\n\n", true, false},
	} {
		for size := 1; size <= len(test.body); size++ {
			var r recorder
			r.note([]byte("GET /before HTTP/1.1\r\n\r\n" + head + test.body[:size-1]))
			r.follow([]byte(head), true)
			for rest := test.body[size-1:]; len(rest) > 0; {
				n := min(size, len(rest))
				r.note([]byte(rest[:n]))
				rest = rest[n:]
			}
			if c := r.chunks; c.lost || c.ended != test.ended || c.bareLF != test.bareLF {
				t.Errorf("%s, %d bytes at a time: %+v", test.name, size, c)
			}
		}
	}
	for name, last := range map[string]string{
		"the head came in parts": head[10:] + "0\r\n\r\n", "the same head twice": head + "0\r\n\r\n" + head + "0\r\n\r\n",
		"no size": head + ";\r\n", "a line that is too long": head + strings.Repeat("0", maxHeader+1),
	} {
		var r recorder
		r.note([]byte(last))
		r.follow([]byte(head), true)
		if !r.chunks.lost {
			t.Errorf("%s: not lost", name)
		}
		r.follow([]byte(head), false)
		if r.chunks != nil {
			t.Errorf("%s: the next request is not chunked, and is looked at", name)
		}
	}
}
