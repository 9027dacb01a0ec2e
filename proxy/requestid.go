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

// numbers are those of the requests on one connection. They are taken from those of
// the process many at a time: what all requests count up is never where it is needed.
type numbers struct{ last, end uint64 }

const numbersAtOnce = 64

func (n *numbers) next() uint64 {
	if n.last == n.end {
		n.end = numbered.Add(numbersAtOnce)
		n.last = n.end - numbersAtOnce
	}
	n.last++
	return n.last
}

// identify gives every request an id, in the header of the answer: the client's own
// if it sent a sensible one.
func identify(c *fiber.Ctx, h head) {
	answer := &c.Response().Header
	if h.requestID {
		if id := c.Request().Header.Peek(headerRequestID); sensibleID(id) {
			answer.SetCanonical(requestIDKey, id)
			return
		}
	}
	number := new(numbers)
	if conn := connOf(c); conn != nil {
		number = &conn.numbers
	}
	var id [32]byte
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], number.next())
	copy(id[:], processID[:])
	hex.Encode(id[16:], seq[:])
	answer.SetCanonical(requestIDKey, id[:])
}

func sensibleID(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, b := range id {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}
