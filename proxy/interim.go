package proxy

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"sync"

	"pollbridge/internal/hop"

	"github.com/gofiber/fiber/v2"
)

// interim sends interim answers of the upstream (102, 103) on to a client while it waits
// for the final one: as many as the upstream's client lets through. The transport calls
// forward in a goroutine of its own.
type interim struct {
	mu   sync.Mutex
	conn net.Conn // nil once there is nothing to be sent any more; guarded by mu
}

// newInterim is for clients who can take interim answers. Who has sent several requests
// at once cannot: the answer to an earlier one may not have been written yet.
func newInterim(c *fiber.Ctx) *interim {
	i := &interim{}
	if c.Request().Header.IsHTTP11() && !connOf(c).held.Load() {
		i.conn = c.Context().Conn()
	}
	return i
}

func (i *interim) forward(code int, header http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conn == nil || code == http.StatusContinue {
		return
	}
	endToEnd := header.Clone()
	for name := range endToEnd {
		if (hop.Fields{}).Has([]byte(name)) || name == "Content-Length" {
			delete(endToEnd, name)
		}
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", code, http.StatusText(code))
	_ = endToEnd.Write(&head) // a buffer never fails
	head.WriteString("\r\n")
	if _, err := i.conn.Write(head.Bytes()); err != nil {
		i.conn.Close() // a part of a head may have been sent
		i.conn = nil
	}
}

// stop is to be called when the final answer is there, before anything is written.
func (i *interim) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conn = nil
}
