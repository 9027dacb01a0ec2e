package proxy

import (
	"bytes"
	"net/http"

	"github.com/valyala/fasthttp"
)

// refuseUnsupported refuses what this proxy does not do: methods that are about the
// connection or echo credentials, and changes of protocol. An offer of HTTP/2 is no
// demand, so it is ignored: some clients make it with every request.
func refuseUnsupported(header *fasthttp.RequestHeader, h head) error {
	switch string(header.Method()) {
	case http.MethodTrace, http.MethodConnect:
		return refusal(http.StatusMethodNotAllowed, "the method "+string(header.Method())+" is not supported")
	}
	if h.upgrade && !bytes.EqualFold(header.Peek(fasthttp.HeaderUpgrade), []byte("h2c")) {
		return refusal(http.StatusNotImplemented, "changing the protocol of a connection is not supported")
	}
	return nil
}
