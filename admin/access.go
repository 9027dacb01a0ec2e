package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// withKey lets requests pass that have one of these keys.
type withKey []string

func (keys withKey) orLoopback(c *fiber.Ctx) error {
	if c.Context().RemoteIP().IsLoopback() && !forwarded(c) {
		return c.Next()
	}
	return keys.always(c)
}

func (keys withKey) always(c *fiber.Ctx) error {
	scheme, token, _ := bytes.Cut(c.Request().Header.Peek(fiber.HeaderAuthorization), []byte(" "))
	if !bytes.EqualFold(scheme, []byte("Bearer")) || !anyEqual(keys, token) {
		return newProblem(http.StatusUnauthorized, "send Authorization: Bearer KEY with one of the configured keys")
	}
	return c.Next()
}

// forwarded reports whether a proxy on this machine sends somebody else's request.
func forwarded(c *fiber.Ctx) bool {
	for name := range c.Request().Header.All() {
		switch name := strings.ToLower(string(name)); {
		case strings.HasPrefix(name, "x-forwarded-"), name == "forwarded", name == "via", name == "x-real-ip":
			return true
		}
	}
	return false
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
