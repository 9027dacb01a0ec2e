package proxy

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// head is what one pass over the header of a request finds out. Most requests have
// none of these fields, and asking for each of them by name is not free.
type head struct {
	authorization, contentEncoding, origin, prefer, requestID, trace, webhook bool
}

// readHead reads the header lines as they were sent and refuses requests whose end
// two servers could see in different places, which is how requests are smuggled past
// a proxy (RFC 9112, 11.2). The HTTP engine has refused others before.
func readHead(header *fasthttp.RequestHeader) (h head, err error) {
	if version := header.Protocol(); string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		return head{}, ambiguous("the HTTP version is not 1.0 or 1.1")
	}
	var lengths, encodings int
	for raw := header.RawHeaders(); len(raw) > 0; {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			end = len(raw) - 1
		} else if end == 0 || raw[end-1] != '\r' {
			return head{}, ambiguous("a header line ends without a carriage return")
		}
		line := raw[:end+1]
		raw = raw[end+1:]
		switch line[0] {
		case ' ', '\t':
			return head{}, ambiguous("a header line is folded")
		case 'a', 'A':
			h.authorization = h.authorization || is(line, "authorization:")
		case 'c', 'C':
			if is(line, "content-length:") {
				lengths++
			}
			h.contentEncoding = h.contentEncoding || is(line, "content-encoding:")
		case 'o', 'O':
			h.origin = h.origin || is(line, "origin:")
		case 'p', 'P':
			h.prefer = h.prefer || is(line, "prefer:")
			h.webhook = h.webhook || is(line, "pollbridge-webhook:")
		case 't', 'T':
			if is(line, "transfer-encoding:") {
				encodings++
				if !bytes.EqualFold(bytes.Trim(line[len("transfer-encoding:"):], " \r\n"), []byte("chunked")) {
					return head{}, ambiguous("the transfer encoding is not chunked")
				}
			}
			h.trace = h.trace || is(line, "traceparent:")
		case 'x', 'X':
			h.requestID = h.requestID || is(line, "x-request-id:")
		}
	}
	if lengths+encodings > 1 {
		return head{}, ambiguous("the length of the body is given more than once")
	}
	return h, nil
}

// is reports whether a line is of the field with that name, in lower case and with
// its colon.
func is(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}
