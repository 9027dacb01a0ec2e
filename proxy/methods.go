package proxy

import (
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// methods are the methods that are served: the registered ones that a client of an
// HTTP API could have reason to use.
var methods = append(slices.Clone(fiber.DefaultMethods),
	"QUERY", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "LINK", "UNLINK", "PURGE")

// refuseUnknownMethods answers other methods in the form of all other refusals; the
// router would not let them come to a handler.
func refuseUnknownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if method := c.Method(); slices.Contains(methods, string(method)) {
			next(c)
			return
		}
		writePublic(c, refusal(http.StatusNotImplemented, "the method of the request is not supported"))
	}
}

// refuseMethods refuses the methods that are about the connection, or echo
// credentials.
func refuseMethods(header *fasthttp.RequestHeader) error {
	switch method := string(header.Method()); method {
	case http.MethodTrace, http.MethodConnect:
		e := refusal(http.StatusMethodNotAllowed, "the method "+method+" is not supported")
		e.allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		return e
	}
	return nil
}
