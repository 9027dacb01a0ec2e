package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"pollbridge/tracing"
	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// smallBody is the size in bytes up to which bodies of requests and answers are held
// whole: that frees connections sooner.
const smallBody = 16 << 10

// noBody is what the engine says of a request that has none, and nothing that says so.
const noBody = -2

// forward passes a request through. begun is the part of its body that was read
// already; it must not be used again by the caller. start is nil unless it is a start
// call.
func (s *Server) forward(c *fiber.Ctx, to target, begun []byte, start *start, span *tracing.Span) error {
	code, err := s.exchange(c, to, begun, start, span)
	if err != nil {
		code = public(err).status
	}
	s.metrics.countPassthrough(code)
	return err
}

// exchange is one request that passes through. It ends when the answer was sent, which
// may be after exchange has returned.
type exchange struct {
	server *Server
	cancel context.CancelCauseFunc
	forget func()         // ends the look at whether the client is there
	body   *requestBody   // nil if the request is held whole
	answer *http.Response // nil until there is one
	span   *tracing.Span  // of the request
}

// end is to be called when the answer has been sent, or when there is none.
func (e *exchange) end() {
	if e.answer != nil {
		e.answer.Body.Close()
	}
	if e.body != nil {
		e.body.Close()
	}
	e.forget()
	e.cancel(nil)
}

// endStream is end where the answer was sent after its request was handled, see [Server.end].
func (e *exchange) endStream() {
	e.end()
	e.span.End()
}

// exchange returns the status code that the client gets.
func (s *Server) exchange(c *fiber.Ctx, to target, begun []byte, start *start, span *tracing.Span) (code int, err error) {
	url, err := s.options.Upstream.URL(string(to.raw))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(tracing.With(context.Background(), span))
	e := &exchange{server: s, cancel: cancel, span: span}
	e.forget = s.hangups.Watch(c.Context().Conn(), func() { cancel(errClientGone) })
	answered := false
	defer func() {
		if !answered { // there is an error, or a panic
			e.end()
		}
	}()
	request := &http.Request{
		Method: string(c.Request().Header.Method()), URL: url, Host: url.Host, Header: s.forwarded(c, to),
	}
	if err := e.setBody(c, request, begun, start); err != nil {
		return 0, err
	}
	stopHurry := context.AfterFunc(s.serving, func() { cancel(errDrainingOf(request)) })
	defer stopHurry() // an answer that streams may take as long as draining does
	interim := newInterim(c)
	response, err := s.options.Upstream.Forward(request.WithContext(ctx), interim.forward)
	interim.stop()
	if err != nil {
		return 0, gatewayError(err)
	}
	e.answer = response
	if err := e.sendBack(c, response, start); err != nil {
		return 0, err
	}
	answered = true
	return response.StatusCode, nil
}

// errDrainingOf is what is answered to a request that passes through when draining has to end.
func errDrainingOf(request *http.Request) error {
	if upstream.Repeatable(request) {
		return errDraining
	}
	return errDrainingSent
}

// setBody gives the request its body, which is held whole if it is small.
func (e *exchange) setBody(c *fiber.Ctx, request *http.Request, begun []byte, start *start) error {
	length := c.Request().Header.ContentLength()
	switch {
	case length == noBody, length == 0:
		request.Body = http.NoBody
		return nil
	case 0 < length && length <= smallBody:
		whole := make([]byte, length)
		if _, err := io.ReadFull(newRequestBody(c, begun, length), whole); err != nil {
			return err
		}
		if start != nil {
			_, _ = start.credential.Write(whole) // never fails
		}
		request.Body = io.NopCloser(bytes.NewReader(whole))
	default:
		e.body = newRequestBody(c, begun, length)
		request.Body = e.body
		if start != nil {
			request.Body = reread{io.TeeReader(e.body, start.credential), e.body}
		}
	}
	request.ContentLength = int64(length)
	return nil
}

// gatewayError names errors in terms of a gateway.
func gatewayError(err error) error {
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

// brokenAnswer is the error of an answer that broke off, unless it was the client that left,
// or that was too slow.
func brokenAnswer(err error) error {
	if _, ours := errors.AsType[*publicError](err); ours || errors.Is(err, errClientGone) {
		return err
	}
	return gatewayError(upstream.BrokenAnswer(err))
}

// sendBack gives an answer to the client, streaming if it is not small. Until that is
// over the engine leaves the body of the request alone, so an upstream may answer
// while it still reads. After an error the caller has to end the exchange.
func (e *exchange) sendBack(c *fiber.Ctx, answer *http.Response, start *start) error {
	if start != nil {
		if err := start.answered(answer); err != nil {
			return err
		}
	}
	response := c.Response()
	length := int(answer.ContentLength)
	head := c.Method() == http.MethodHead
	bodiless := head || answer.StatusCode == http.StatusNoContent || answer.StatusCode == http.StatusNotModified
	var whole []byte
	if !bodiless && 0 <= length && length <= smallBody {
		whole = make([]byte, length)
		if _, err := io.ReadFull(answer.Body, whole); err != nil {
			return brokenAnswer(err)
		}
	}
	copyBack(&response.Header, answer.Header)
	switch {
	case bodiless:
		response.SkipBody = true
		if head && length >= 0 {
			response.Header.SetContentLength(length) // before the status, or it would not do so for 304
		} else {
			response.Header.Del(fasthttp.HeaderContentLength)
		}
	case whole != nil:
		response.SetBodyRaw(whole)
	case length < 0 && !c.Request().Header.IsHTTP11():
		response.SetStatusCode(answer.StatusCode)
		e.server.streams.Respond(c.Context(), func(w *bufio.Writer) error {
			defer e.endStream()
			return copyFlushing(w, answer.Body)
		}, e.endStream)
		return nil
	default:
		body := &answerBody{Reader: answer.Body, end: e.endStream}
		if !c.Request().Header.IsHTTP11() {
			body.broken = &connOf(c).reset
		}
		response.SetBodyStream(body, length)
		response.ImmediateHeaderFlush = true // the body may be a long time coming
		response.SetStatusCode(answer.StatusCode)
		return nil
	}
	response.SetStatusCode(answer.StatusCode)
	e.end()
	return nil
}

// copyFlushing copies what comes as it comes.
func copyFlushing(w *bufio.Writer, r io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		if _, failed := w.Write(buffer[:n]); failed != nil {
			return failed
		}
		if failed := w.Flush(); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// answerBody is the body of an answer on its way to the client.
type answerBody struct {
	io.Reader
	end    func()
	broken *atomic.Bool // set if the body breaks off; nil if nobody wants to know
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF && b.broken != nil {
		b.broken.Store(true)
	}
	return n, err
}

// Close is called by the engine when the answer was sent, or could not be.
func (b *answerBody) Close() error {
	b.end()
	return nil
}
