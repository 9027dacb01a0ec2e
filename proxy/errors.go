package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// publicError is an error whose text may be shown to clients.
type publicError struct {
	status  int
	message string
	code    int // in the upstream's own numbering
	close   bool
	retry   time.Duration
	allow   string
	cause   error // for the log only
}

func (e *publicError) Error() string { return e.message }
func (e *publicError) Unwrap() error { return e.cause }

const codeBadRequest = 40001

func ambiguous(message string) error {
	return refusal(http.StatusBadRequest, message)
}

func refusal(status int, message string) *publicError {
	return &publicError{status: status, message: message, code: codeBadRequest, close: true}
}

var errDraining = &publicError{
	status: http.StatusServiceUnavailable, code: session.CodeTechnicalError, close: true, retry: time.Second,
	message: "This server is shutting down, try again",
}

// errDrainingSent is errDraining where the upstream may have got the request: sent again, it may be acted on twice.
var errDrainingSent = &publicError{
	status: http.StatusBadGateway, code: session.CodeTechnicalError, close: true,
	message: "This server is shutting down, and the signing service has not answered yet",
}

var errSlowBody = refusal(http.StatusRequestTimeout, "the body of the request did not arrive in time")

var errBrokenBody = ambiguous("the body of the request could not be read")

// statusError is why a status request got no observation.
type statusError struct {
	result cache.Result
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// writeError answers an error: the one place where errors become HTTP. What the upstream
// said that is no observation is told as it is. Our own texts are fixed, so nothing of a
// request or of the network behind can leak.
func (s *Server) writeError(c *fiber.Ctx, err error) {
	status, isStatus := errors.AsType[*statusError](err)
	failure, failed := errors.AsType[*upstream.Failure](err)
	if isStatus && failed && failure.Answer != nil {
		writeContent(c.Response(), failure.Answer)
	} else {
		writePublic(c.Context(), public(err))
	}
	if isStatus {
		c.Response().Header.AddBytesKV(cacheStatusKey, appendErrorStatus(nil, status.result, err))
	}
}

// handleError answers requests that the HTTP engine could not read.
func (s *Server) handleError(c *fiber.Ctx, err error) error {
	writePublic(c.Context(), public(err))
	return nil
}

func writePublic(c *fasthttp.RequestCtx, e *publicError) {
	response := &c.Response
	response.ResetBody()
	response.SetStatusCode(e.status)
	response.Header.SetContentType("application/json")
	response.Header.SetCanonical(cacheControlKey, noStore)
	if e.retry > 0 {
		response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int((e.retry+time.Second-1)/time.Second)))
	}
	if e.allow != "" {
		response.Header.Set(fasthttp.HeaderAllow, e.allow)
	}
	if e.close {
		clientConnBelow(c.Conn()).unread.Store(true) // the client may still be sending
		response.SetConnectionClose()
	}
	response.SetBodyString(`{"status":"error","message":` + strconv.Quote(e.message) + `,"error_code":` + strconv.Itoa(e.code) + `}`)
}

func public(err error) *publicError {
	if public, ok := errors.AsType[*publicError](err); ok {
		return public
	}
	if failure, ok := errors.AsType[*upstream.Failure](err); ok {
		return unavailable(failure)
	}
	if errors.Is(err, upstream.ErrInvalid) {
		return refusal(http.StatusBadRequest, "the target or a header field of the request has bytes in it that are not allowed")
	}
	if errors.Is(err, errClientGone) || errors.Is(err, context.Canceled) {
		return gone
	}
	if engine, ok := errors.AsType[*fiber.Error](err); ok {
		return fromEngine(engine)
	}
	if _, ok := errors.AsType[*statusError](err); ok { // there is no answer yet, and none to fall back on
		return errUnanswered
	}
	return errPanic
}

var errUnanswered = &publicError{
	status: http.StatusServiceUnavailable, code: session.CodeTechnicalError, retry: time.Second,
	message: "The signing service has not answered yet, try again",
}

var errClientGone = errors.New("the client has left")

// gone is for clients that have closed their half of the connection, should they
// still be reading.
var gone = refusal(statusClientClosedRequest, "the client closed the connection")

const statusClientClosedRequest = 499

var errPanic = &publicError{status: http.StatusInternalServerError, message: "internal error", code: session.CodeTechnicalError}

// unavailable tells a client in the upstream's own words that it could not be asked.
func unavailable(failure *upstream.Failure) *publicError {
	e := &publicError{
		status: http.StatusServiceUnavailable, code: session.CodeTechnicalError, retry: failure.RetryAfter,
		message: "The signing service cannot be reached, try again later", cause: failure,
	}
	if failure.Reason == upstream.Timeout {
		e.status = http.StatusGatewayTimeout
	}
	return e
}

// fromEngine gives requests that the HTTP engine could not read a fixed text: its
// own ones quote what was sent.
func fromEngine(err *fiber.Error) *publicError {
	e := refusal(err.Code, "the request could not be read")
	switch err.Code {
	case http.StatusRequestTimeout:
		e.message = "the request did not arrive in time"
	case http.StatusRequestHeaderFieldsTooLarge:
		e.message = "the header of the request is larger than 16 KiB"
	case http.StatusRequestEntityTooLarge:
		e.message = "the body of the request is too large"
	}
	return e
}
