package proxy

import (
	"bytes"
	"net/http"

	"github.com/valyala/fasthttp"
)

// refuseUpgrades refuses changes of protocol. An offer of HTTP/2 is no demand, so it
// is ignored: some clients make it with every request.
func refuseUpgrades(header *fasthttp.RequestHeader, h head) error {
	if h.upgrade && !bytes.EqualFold(header.Peek(fasthttp.HeaderUpgrade), []byte("h2c")) {
		return refusal(http.StatusNotImplemented, "changing the protocol of a connection is not supported")
	}
	return nil
}
