package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"unicode"

	"pollbridge/session"
	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
)

// forward passes a request through, streaming both ways. begun is the part of its
// body that was read already; it must not be used again by the caller.
func (s *Server) forward(c *fiber.Ctx, begun []byte) error {
	ctx, leave := context.WithCancelCause(context.Background())
	stopWatching := s.departures.watch(c.Context().Conn(), func() { leave(errClientGone) })
	end := func() { stopWatching(); leave(nil) }
	request, err := s.outgoing(ctx, c, begun)
	if err != nil {
		end()
		return err
	}
	end = func() { request.Body.Close(); stopWatching(); leave(nil) }
	response, err := s.upstream.Forward(request)
	if err != nil {
		end()
		err = forwardError(err)
		s.metrics.countPassthrough(public(err).status)
		return err
	}
	s.metrics.countPassthrough(response.StatusCode)
	return sendBack(c, response, end)
}

func (s *Server) outgoing(ctx context.Context, c *fiber.Ctx, begun []byte) (*http.Request, error) {
	path, query := session.SplitTarget(c.Request().Header.RequestURI())
	url, err := s.upstream.URL(upstream.Target{Path: string(path), Query: string(query)})
	if err != nil || bytes.ContainsFunc(c.Request().Header.RequestURI(), unicode.IsControl) {
		return nil, refusal(http.StatusBadRequest, "the path of the request is not well encoded")
	}
	header, err := s.forwardedHeader(c)
	if err != nil {
		return nil, err
	}
	request := &http.Request{
		Method: string(c.Request().Header.Method()),
		URL:    url,
		Host:   url.Host,
		Header: header,
		Body:   http.NoBody,
	}
	if length := c.Request().Header.ContentLength(); length > 0 || length == -1 {
		request.ContentLength = int64(length)
		request.Body = &clientBody{begun: begun, stream: c.Request().BodyStream(), conn: c.Context().Conn()}
	}
	return request.WithContext(ctx), nil
}

// forwardError names errors in terms of a gateway.
func forwardError(err error) error {
	failure, ok := err.(*upstream.Failure)
	if !ok || failure.NotSent() {
		return err
	}
	e := unavailable(failure)
	if e.status == http.StatusServiceUnavailable {
		e.status, e.retry = http.StatusBadGateway, 0
	}
	return e
}

// sendBack streams an answer to the client; end is called when that is over. Until
// then the engine leaves the body of the request alone, so an upstream may answer
// while it still reads.
func sendBack(c *fiber.Ctx, response *http.Response, end func()) error {
	c.Response().SetStatusCode(response.StatusCode)
	copyBack(c, response.Header)
	body := &answerBody{ReadCloser: response.Body, end: end}
	bodiless := c.Method() == http.MethodHead || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified
	switch {
	case bodiless:
		body.Close()
		c.Response().SkipBody = true
		if response.ContentLength >= 0 && c.Method() == http.MethodHead {
			c.Response().Header.SetContentLength(int(response.ContentLength))
		}
	case 0 <= response.ContentLength && response.ContentLength <= smallBody:
		return sendSmall(c, body, int(response.ContentLength))
	default:
		c.Response().SetBodyStream(body, int(response.ContentLength))
	}
	return nil
}

// smallBody is the size in bytes up to which an answer is read whole: that frees its
// connection sooner, and costs less.
const smallBody = 16 << 10

func sendSmall(c *fiber.Ctx, body io.ReadCloser, length int) error {
	defer body.Close()
	whole := make([]byte, length)
	if _, err := io.ReadFull(body, whole); err != nil {
		c.Response().Reset()
		return forwardError(upstream.BrokenAnswer(err))
	}
	c.Response().SetBodyRaw(whole)
	return nil
}

// answerBody is the body of an answer on its way to the client.
type answerBody struct {
	io.ReadCloser
	end func()
}

func (b *answerBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
