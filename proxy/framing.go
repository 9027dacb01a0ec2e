package proxy

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
)

// refuseAmbiguousFraming refuses requests whose end two servers could see in
// different places, which is how requests are smuggled past a proxy (RFC 9112, 11.2).
// The HTTP engine refuses others before.
func refuseAmbiguousFraming(c *fiber.Ctx) error {
	header := &c.Request().Header
	if target := header.RequestURI(); len(target) == 0 || target[0] != '/' {
		return ambiguous("the request target is not a path")
	}
	if version := string(header.Protocol()); version != "HTTP/1.1" && version != "HTTP/1.0" {
		return ambiguous("the HTTP version is not 1.0 or 1.1")
	}
	if err := checkLines(header.RawHeaders()); err != nil {
		return err
	}
	return c.Next()
}

func checkLines(raw []byte) error {
	var lengths, encodings int
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			end = len(raw) - 1
		} else if end == 0 || raw[end-1] != '\r' {
			return ambiguous("a header line ends without a carriage return")
		}
		line := raw[:end+1]
		raw = raw[end+1:]
		switch line[0] {
		case ' ', '\t':
			return ambiguous("a header line is folded")
		case 'c', 'C':
			if is(line, "content-length:") {
				lengths++
			}
		case 't', 'T':
			if is(line, "transfer-encoding:") {
				encodings++
				if !bytes.EqualFold(bytes.Trim(line[len("transfer-encoding:"):], " \r\n"), []byte("chunked")) {
					return ambiguous("the transfer encoding is not chunked")
				}
			}
		}
	}
	if lengths > 1 || encodings > 1 || lengths+encodings > 1 {
		return ambiguous("the length of the body is given more than once")
	}
	return nil
}

func is(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}
