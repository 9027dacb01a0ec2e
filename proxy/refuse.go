package proxy

import (
	"bytes"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// refuseUnsupported refuses what this proxy does not do: methods that are about the
// connection or echo credentials, and changes of protocol. An offer of HTTP/2 is no
// demand, so it is ignored: some clients make it with every request.
func refuseUnsupported(c *fiber.Ctx) error {
	header := &c.Request().Header
	switch string(header.Method()) {
	case fiber.MethodTrace, fiber.MethodConnect:
		return refusal(http.StatusMethodNotAllowed, "the method "+string(header.Method())+" is not supported")
	}
	if upgrade := header.Peek(fasthttp.HeaderUpgrade); len(upgrade) > 0 && !bytes.EqualFold(upgrade, []byte("h2c")) {
		return refusal(http.StatusNotImplemented, "changing the protocol of a connection is not supported")
	}
	return c.Next()
}
