package admin

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

const (
	// bodyLimit is how large the body of a request may be, in bytes.
	bodyLimit = 1 << 20
	// drained is how much more of a body that is too large is read, and thrown away: a
	// client that is still sending when its connection is closed does not see why.
	drained = 32 << 20
)

// bodyKey is where the body of a request is kept, whoever has read it.
type bodyKey struct{}

// wholeBody reads the body, of those that have a key, before anything is done.
func wholeBody(c *fiber.Ctx) error {
	stream := c.Context().RequestBodyStream()
	if stream == nil {
		return c.Next()
	}
	body, err := io.ReadAll(io.LimitReader(stream, bodyLimit+1))
	if err == nil && len(body) <= bodyLimit {
		c.Locals(bodyKey{}, body)
		c.Request().SetBodyStream(bytes.NewReader(body), len(body))
		return c.Next()
	}
	c.Context().SetConnectionClose()
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return newProblem(http.StatusRequestTimeout, "the body did not arrive in time")
	}
	if err != nil {
		return newProblem(http.StatusBadRequest, "the body cannot be read")
	}
	io.CopyN(io.Discard, stream, drained) // as far as it comes
	return newProblem(http.StatusRequestEntityTooLarge, "the body is too large: at most 1 MiB is accepted")
}
