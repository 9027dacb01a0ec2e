// Package hop knows the header fields that are about one connection and end at each
// hop (RFC 9110, 7.6.1).
package hop

import (
	"net/textproto"
	"strings"
)

// always reports whether a field is dropped even if Connection does not name it:
// net/http takes Connection away before it can be read. It is asked of every field, and
// a switch costs a fraction of what a map does.
func always(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// Fields are the fields of one message that end here.
type Fields struct{ named map[string]bool }

// Named reads the values of Connection, which may name further fields.
func Named[T string | []byte](connection []T) Fields {
	var f Fields
	for _, value := range connection {
		if strings.EqualFold(string(value), "keep-alive") || strings.EqualFold(string(value), "close") {
			continue // no fields, but what is there most often
		}
		for option := range strings.SplitSeq(string(value), ",") {
			if f.named == nil {
				f.named = map[string]bool{}
			}
			f.named[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(option))] = true
		}
	}
	return f
}

// Has reports whether the field with this canonical name ends here. It does not keep
// name and allocates nothing.
func (f Fields) Has(name []byte) bool {
	return always(name) || f.named != nil && f.named[string(name)]
}
