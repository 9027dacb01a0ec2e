package proxy

import (
	"errors"
	"io"
	"sync"

	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// relay passes a request through that is held whole; its answer streams if it is
// large.
func (p *passing) relay(c *fiber.Ctx, begun []byte, length int) (code int, err error) {
	request := upstream.Small{
		Method: c.Method(),
		Target: c.Request().Header.RequestURI(),
	}
	if length > 0 || length == 0 && mayHaveBody(request.Method) {
		if request.Body, err = wholeBody(c, begun, length); err != nil {
			return 0, err
		}
		if p.start != nil {
			_, _ = p.start.Write(request.Body) // never fails
		}
	}
	lines := headerLines.Get().(*[]byte)
	defer headerLines.Put(lines)
	*lines = (*lines)[:0]
	for name, value := range p.server.forwarded(c) {
		if *lines, err = upstream.AppendField(*lines, name, value); err != nil {
			return 0, err
		}
	}
	request.Header = *lines
	header := &c.Response().Header
	if err := p.server.upstream.Relay(&p.client, request, header, &p.relayed); err != nil {
		return 0, gatewayError(err)
	}
	a := answer{status: header.StatusCode(), length: max(-1, header.ContentLength()), body: &p.relayed}
	if encoding := header.ContentEncoding(); len(encoding) > 0 {
		a.encoding = string(encoding)
	}
	return p.sendBack(c, a)
}

var headerLines = sync.Pool{New: func() any { return new([]byte) }}

// mayHaveBody reports whether a request with this method says so when its body is
// empty.
func mayHaveBody(method string) bool {
	return method == fasthttp.MethodPost || method == fasthttp.MethodPut || method == fasthttp.MethodPatch
}

// wholeBody reads a body of at most smallBody bytes.
func wholeBody(c *fiber.Ctx, begun []byte, length int) ([]byte, error) {
	body := make([]byte, length)
	if _, err := io.ReadFull(newClientBody(c, begun, length), body); err != nil {
		if errors.Is(err, errSlowBody) {
			return nil, errSlowBody
		}
		return nil, errBrokenBody
	}
	return body, nil
}
