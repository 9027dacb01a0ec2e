package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

const headerRequestID = "X-Request-Id"

var requestIDKey = []byte(headerRequestID)

var (
	processID = fmt.Appendf(nil, "%016x", rand.Uint64()) // so that two processes give different ids
	numbered  atomic.Uint64
)

// identify gives every request an id, in the header of the answer: the client's own
// if it sent a sensible one.
func identify(c *fiber.Ctx, h head) (id []byte) {
	if h.requestID {
		id = c.Request().Header.Peek(headerRequestID)
	}
	if !sensibleID(id) {
		var number [8]byte
		binary.BigEndian.PutUint64(number[:], numbered.Add(1))
		id = hex.AppendEncode(append(make([]byte, 0, 32), processID...), number[:])
	}
	c.Response().Header.SetCanonical(requestIDKey, id)
	return id
}

func sensibleID(id []byte) bool {
	return len(id) > 0 && len(id) <= 128 && isGraphic(id)
}

// isGraphic reports whether text is of visible ASCII characters only.
func isGraphic(text []byte) bool {
	for _, b := range text {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}
