package proxy

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

const headerRequestID = "X-Request-Id"

var requestIDKey = []byte(headerRequestID)

var (
	processID [16]byte // random, so that two processes give different ids; in hexadecimal digits
	numbered  atomic.Uint64
)

func init() {
	var id [len(processID) / 2]byte
	rand.Read(id[:]) // never fails
	hex.Encode(processID[:], id[:])
}

// identify gives every request an id, in the header of the answer: the client's own
// if it sent a sensible one.
func identify(c *fiber.Ctx, h head) (id []byte) {
	if h.requestID {
		id = c.Request().Header.Peek(headerRequestID)
	}
	if !sensibleID(id) {
		var number [8]byte
		binary.BigEndian.PutUint64(number[:], numbered.Add(1))
		id = hex.AppendEncode(append(make([]byte, 0, 32), processID[:]...), number[:])
	}
	c.Response().Header.SetCanonical(requestIDKey, id)
	return id
}

func sensibleID(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	return isGraphic(id)
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
