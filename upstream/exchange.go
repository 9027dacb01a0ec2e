package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/tracing"
)

// forwardTimeout is how long a passed-through exchange may stand still, if the
// timeout is not longer. Starting a signing takes its time.
const forwardTimeout = time.Minute

// interimMost is how many interim answers may come before the answer.
const interimMost = 100

var (
	errSilent   = fmt.Errorf("nothing moved for too long: %w", os.ErrDeadlineExceeded)
	errRepeated = errors.New("the upstream may have seen the request, so it is not sent twice")
	errInterim  = errors.New("too many interim answers")
)

// exchange is one request that passes through, and its answer until that is closed.
type exchange struct {
	request *http.Request // as the transport gets it

	// ctx ends with the client's. Whatever else ends the exchange stops it with its
	// reason: a *Failure, or the error of the client's body.
	ctx  context.Context
	stop context.CancelCauseFunc

	moved     func() // something has come or gone
	endUpload func() // closes the client's body, which ends reading it; does so once
	release   func() // ends the exchange, once

	safe  bool        // the request may be sent twice
	stale bool        // nothing may be sent on the connection
	sent  atomic.Bool // something may have been sent on one

	interim  func(code int, header http.Header) // told of interim answers; may be nil
	interims int                                // how many have come

	span *tracing.Span
}

func hasBody(request *http.Request) bool { return request.Body != nil && request.Body != http.NoBody }

// Repeatable reports whether a request that passes through may be sent twice: GET, HEAD, OPTIONS and TRACE without a body.
func Repeatable(request *http.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return !hasBody(request)
	}
	return false
}

// newExchange makes an exchange that ends when nothing has moved for so long. leave is
// called at its end.
func newExchange(request *http.Request, interim func(int, http.Header), silence time.Duration, leave func()) *exchange {
	x := &exchange{interim: interim, endUpload: func() {}}
	x.ctx, x.stop = context.WithCancelCause(request.Context())
	timer := time.AfterFunc(silence, func() { x.stop(brokenExchange(errSilent)) })
	x.moved = func() { timer.Reset(silence) }
	x.request = request.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		GotConn:          x.gotConn,
		WroteHeaderField: func(string, []string) { x.sent.CompareAndSwap(false, !x.stale) },
		Got1xxResponse:   x.gotInterim,
	}))
	x.safe = Repeatable(request)
	if hasBody(request) {
		x.request.Body = &upload{request.Body, x}
		x.endUpload = sync.OnceFunc(func() { request.Body.Close() })
		context.AfterFunc(x.ctx, x.endUpload) // the transport waits for who reads it
	}
	x.release = sync.OnceFunc(func() {
		timer.Stop()
		x.stop(nil)
		x.endUpload()
		leave()
		x.span.End()
	})
	return x
}

// send sends the request, again as long as it meets connections that are stale. The error
// says whose fault it is that there is no answer.
func (x *exchange) send(transport http.RoundTripper) (*http.Response, error) {
	for {
		x.stale = false
		response, err := transport.RoundTrip(x.request)
		if err == nil && x.stale { // what was read before it was closed is no answer to this
			response.Body.Close()
			err = errStale
		}
		switch cause := context.Cause(x.ctx); {
		case err == nil:
			return response, nil
		case cause != nil:
			return nil, cause
		case !x.stale:
			return nil, brokenExchange(err)
		}
	}
}

// gotConn is called before the request is written on a connection. The transport has no
// two at the same time, but it repeats requests that the upstream may have acted on: with
// an Idempotency-Key, and in HTTP/2 for some reasons for which that refuses them.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	repeats := x.sent.Load() && !x.safe
	if repeats {
		x.stop(brokenExchange(errRepeated))
	}
	if conn, ok := info.Conn.(*forwardConn); ok { // else it is HTTP/2, where that stops it
		if x.stale = repeats || !conn.begin(info.Reused, x.stop); x.stale {
			conn.Close()
		}
	}
}

func (x *exchange) gotInterim(code int, header textproto.MIMEHeader) error {
	if x.interims++; x.interims > interimMost {
		x.stop(brokenExchange(errInterim))
		return errInterim
	}
	x.moved()
	if x.interim != nil {
		x.interim(code, http.Header(header))
	}
	return nil
}

// upload is the body of a request. net/http may still read it after the answer has come.
type upload struct {
	io.ReadCloser
	exchange *exchange
}

func (u *upload) Read(p []byte) (int, error) {
	if u.exchange.stale || u.exchange.ctx.Err() != nil {
		return 0, io.ErrClosedPipe
	}
	n, err := u.ReadCloser.Read(p)
	u.exchange.moved()
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrClosedPipe) { // that is reading given up here
		u.exchange.stop(err)
	}
	return n, err
}

// Close leaves the body for the next connection if this one is stale.
func (u *upload) Close() error {
	if !u.exchange.stale {
		u.exchange.endUpload()
	}
	return nil
}

// download is the body of an answer; closing it ends the exchange.
type download struct {
	io.ReadCloser
	exchange *exchange
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.exchange.moved()
	if err != nil && err != io.EOF {
		cause := context.Cause(d.exchange.ctx)
		if cause == nil {
			d.exchange.span.Failed(failureOf(brokenExchange(err)))
			return n, err
		}
		d.exchange.span.Failed(failureOf(cause))
		err = cause
	}
	return n, err
}

func (d *download) Close() error {
	defer d.exchange.release()
	return d.ReadCloser.Close()
}
