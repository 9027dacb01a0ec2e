package admin

import (
	"crypto/rand"

	"github.com/gofiber/fiber/v2"
)

// identify gives every request an id, in the header of the answer: the client's own if
// it sent a sensible one.
func identify(c *fiber.Ctx) error {
	id := c.Get(fiber.HeaderXRequestID)
	if !sensibleID(id) {
		id = rand.Text()
	}
	c.Set(fiber.HeaderXRequestID, id)
	return c.Next()
}

func sensibleID(id string) bool { return id != "" && len(id) <= 128 && isToken(id) }
