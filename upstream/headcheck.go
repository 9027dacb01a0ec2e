package upstream

import (
	"bytes"
	"errors"
)

// errFraming is the error of answers of which nobody can say where they end.
var errFraming = errors.New("an HTTP/1.0 answer with Transfer-Encoding")

// headCheck finds the answers that net/http and fasthttp read wrongly without saying so:
// in HTTP/1.0 they ignore and hide Transfer-Encoding, and take the chunks for the body
// (RFC 9112, 6.1: such framing is faulty). The zero value expects the head of an answer.
type headCheck struct {
	over bool   // nothing more is to be checked
	head []byte // as far as it has come
	err  error  // errFraming once that was found
}

// read is shown what comes on the connection. It returns err, again and again.
func (h *headCheck) read(p []byte) error {
	const version = "HTTP/1.0"
	if h.over || len(h.head) == 0 && len(p) >= len(version) && string(p[:len(version)]) != version {
		h.over = true // as most are, without a copy
		return h.err
	}
	h.head = append(h.head, p...)
	head, _, whole := bytes.Cut(bytes.ReplaceAll(h.head, []byte("\r"), nil), []byte("\n\n"))
	if bytes.Contains(bytes.ToLower(head), []byte("\ntransfer-encoding:")) {
		h.err = errFraming
	}
	known := min(len(head), len(version))
	h.over = h.err != nil || whole || string(head[:known]) != version[:known] || len(h.head) > maxHead
	return h.err
}
