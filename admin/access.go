package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/gofiber/fiber/v2"
)

// denial says why a request was refused; its text may be shown.
type denial struct{ reason string }

func (d *denial) Error() string { return d.reason }

// keyOrLoopback lets requests from this machine pass, and those with a key.
func keyOrLoopback(keys []string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if c.Context().RemoteIP().IsLoopback() && len(c.Request().Header.Peek(fiber.HeaderXForwardedFor)) == 0 {
			return c.Next()
		}
		if len(keys) == 0 {
			return &denial{"no key is configured: set admin.keys or POLLBRIDGE_ADMIN_KEY"}
		}
		token, given := bytes.CutPrefix(c.Request().Header.Peek(fiber.HeaderAuthorization), []byte("Bearer "))
		if !given || !anyEqual(keys, token) {
			return &denial{"want Authorization: Bearer KEY with one of the configured keys"}
		}
		return c.Next()
	}
}

// anyEqual takes the same time whatever the token has in common with a key.
func anyEqual(keys []string, token []byte) bool {
	sum := sha256.Sum256(token)
	found := 0
	for _, key := range keys {
		want := sha256.Sum256([]byte(key))
		found |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return found == 1
}
