package proxy

import (
	"context"
	"io"
	"net/http"

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
	code, err := sendBack(c, response, end)
	s.metrics.countPassthrough(code)
	return err
}

func (s *Server) outgoing(ctx context.Context, c *fiber.Ctx, begun []byte) (*http.Request, error) {
	target := c.Request().Header.RequestURI()
	path, query := session.SplitTarget(target)
	url, err := s.upstream.URL(upstream.Target{Path: string(path), Query: string(query), ForceQuery: len(path) < len(target)})
	if err != nil {
		return nil, err
	}
	request := &http.Request{
		Method: string(c.Request().Header.Method()),
		URL:    url,
		Host:   url.Host,
		Header: s.forwardedHeader(c),
		Body:   http.NoBody,
	}
	if length := c.Request().Header.ContentLength(); length > 0 || length == -1 {
		request.ContentLength = int64(length)
		request.Body = newClientBody(c, begun, length)
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
// while it still reads. It returns the status code that the client gets.
func sendBack(c *fiber.Ctx, response *http.Response, end func()) (code int, err error) {
	body := &answerBody{ReadCloser: response.Body, end: end}
	head := c.Method() == http.MethodHead
	length := int(response.ContentLength)
	switch {
	case head || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified:
		body.Close()
		c.Response().SkipBody = true
		if head && length >= 0 {
			c.Response().Header.SetContentLength(length)
		}
	case 0 <= length && length <= smallBody:
		whole, err := readWhole(body, length)
		if err != nil {
			err = forwardError(upstream.BrokenAnswer(err))
			return public(err).status, err
		}
		c.Response().SetBodyRaw(whole)
	case length < 0 && !c.Request().Header.IsHTTP11():
		whole, err := readForHTTP10(body)
		if err != nil {
			return public(err).status, err
		}
		c.Response().SetBodyRaw(whole)
	default:
		c.Response().SetBodyStream(body, length)
	}
	c.Response().SetStatusCode(response.StatusCode)
	copyBack(c, response.Header)
	return response.StatusCode, nil
}

// smallBody is the size in bytes up to which an answer is read whole: that frees its
// connection sooner, and costs less.
const smallBody = 16 << 10

// readForHTTP10 reads an answer of unknown length for a client that cannot be told
// where it ends while it streams.
func readForHTTP10(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	const most = 8 << 20
	whole, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, forwardError(upstream.BrokenAnswer(err))
	}
	if len(whole) > most {
		return nil, refusal(http.StatusHTTPVersionNotSupported, "this answer needs HTTP/1.1")
	}
	return whole, nil
}

func readWhole(body io.ReadCloser, length int) ([]byte, error) {
	defer body.Close()
	whole := make([]byte, length)
	_, err := io.ReadFull(body, whole)
	return whole, err
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
