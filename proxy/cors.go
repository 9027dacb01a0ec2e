package proxy

import (
	"bytes"

	"pollbridge/session"

	"github.com/valyala/fasthttp"
)

// cors is what the upstream said that pages of the asking origin may read of an answer.
// The zero value is for requests that no page makes.
type cors struct {
	asked  bool            // there is an origin
	known  bool            // the upstream was asked for it
	fields []session.Field // Access-Control-*
}

// maxOrigin is the length of the longest origin that is passed on: a host name has at
// most 253 characters.
const maxOrigin = 300

// originOf returns the origin of the page that makes a request, or an empty string if
// there is none, or more than one, or none that could be.
func originOf(header *fasthttp.RequestHeader) string {
	values := header.PeekAll(fasthttp.HeaderOrigin)
	if len(values) != 1 || len(values[0]) == 0 || len(values[0]) > maxOrigin || !isGraphic(values[0]) {
		return ""
	}
	return string(values[0])
}

var accessControl = []byte("Access-Control-")

// apply puts the fields in place of those that came with the answer, which were said to
// whoever asked then.
func (c cors) apply(header *fasthttp.ResponseHeader) {
	if !c.asked {
		return
	}
	if c.known {
		var others []string
		for name := range header.All() {
			if bytes.HasPrefix(name, accessControl) {
				others = append(others, string(name))
			}
		}
		for _, name := range others {
			header.Del(name)
		}
		for _, field := range c.fields {
			header.AddBytesKV(field.Name, field.Value)
		}
	}
	for _, value := range header.PeekAll(fasthttp.HeaderVary) {
		for name := range bytes.SplitSeq(value, []byte(",")) {
			if name = bytes.TrimSpace(name); bytes.EqualFold(name, []byte(fasthttp.HeaderOrigin)) || string(name) == "*" {
				return
			}
		}
	}
	header.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
}
