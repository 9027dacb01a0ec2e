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

// exchange is one request that passes through.
type exchange struct {
	client  *Client
	leave   func() // what is in flight
	start   time.Time
	probing bool

	// ctx ends with the client's. Whatever else ends the exchange stops it with its
	// reason: a *Failure, or the error of the client's body.
	ctx     context.Context
	stop    context.CancelCauseFunc
	silence *time.Timer // stops it once nothing has moved for a while

	upload  *upload     // nil if the request has no body
	safe    bool        // it may be sent twice
	stale   bool        // nothing may be sent on the connection
	sent    atomic.Bool // something may have been sent on one
	interim int
}

// begin waits until a request may be sent. The caller must call failed, or answered
// and, at the end of the answer, release.
func (c *Client) begin(ctx context.Context) (*exchange, error) {
	leave, err := c.inflight.forward(ctx)
	var probing bool
	if err == nil {
		if probing, err = c.breaker.admit(); err != nil {
			leave()
		}
	}
	if err != nil {
		c.metrics.count(passthrough, outcome(nil, err))
		return nil, err
	}
	x := &exchange{client: c, leave: leave, start: time.Now(), probing: probing}
	x.ctx, x.stop = context.WithCancelCause(ctx)
	x.silence = time.AfterFunc(c.silence, func() { x.stop(brokenExchange(errSilent)) })
	return x, nil
}

func (x *exchange) moved() { x.silence.Reset(x.client.silence) }

// prepare returns the request as the transport gets it.
func (x *exchange) prepare(request *http.Request) *http.Request {
	request = request.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		GotConn:          x.gotConn,
		WroteHeaderField: func(string, []string) { x.sent.CompareAndSwap(false, !x.stale) },
		Got1xxResponse:   x.gotInterim,
	}))
	if request.Body != nil && request.Body != http.NoBody {
		x.upload = &upload{ReadCloser: request.Body, exchange: x}
		request.Body = x.upload
		context.AfterFunc(x.ctx, x.upload.end) // the transport waits for who reads it
	}
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		x.safe = x.upload == nil
	}
	if x.client.proxyAuth != "" {
		request.Header = request.Header.Clone()
		request.Header.Set("Proxy-Authorization", x.client.proxyAuth)
	}
	return request
}

// send sends the request, again as long as it meets connections that are stale.
func (x *exchange) send(request *http.Request) (*http.Response, error) {
	transport := x.client.transport()
	for {
		x.stale = false
		if response, err := transport.RoundTrip(request); !x.stale {
			return response, err
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

func (x *exchange) gotInterim(int, textproto.MIMEHeader) error {
	if x.interim++; x.interim > interimMost {
		x.stop(brokenExchange(errInterim))
	}
	x.moved()
	return nil
}

// failed ends the exchange and returns the error that says whose fault that was.
func (x *exchange) failed(err error) error {
	defer x.release()
	if cause := context.Cause(x.ctx); cause != nil {
		err = cause
	} else {
		err = brokenExchange(err)
	}
	x.judge(outcome(nil, err), err)
	return err
}

// answered tells that the head of an answer has come.
func (x *exchange) answered(status int) {
	var verdict error
	if status >= http.StatusInternalServerError {
		verdict = errNoVerdict
	}
	x.judge(statusClass(status), verdict)
}

func (x *exchange) judge(outcome string, verdict error) {
	x.client.breaker.ended(x.probing, verdict)
	x.client.metrics.count(passthrough, outcome)
	x.client.metrics.observeSeconds(passthrough, time.Since(x.start))
}

// release ends the exchange. It may be called once.
func (x *exchange) release() {
	x.silence.Stop()
	if x.upload != nil {
		x.upload.end()
	}
	x.stop(nil)
	x.leave()
}

// upload is the body of a request. net/http may still read it after the answer has come.
type upload struct {
	io.ReadCloser
	exchange *exchange
	ended    atomic.Bool
	closing  sync.Once
}

func (u *upload) Read(p []byte) (int, error) {
	if u.exchange.stale || u.ended.Load() {
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
		u.end()
	}
	return nil
}

// end closes the body, which ends reading it.
func (u *upload) end() {
	u.ended.Store(true)
	u.closing.Do(func() { u.ReadCloser.Close() })
}

// download is the body of an answer; closing it ends the exchange.
type download struct {
	io.ReadCloser
	exchange *exchange
	once     sync.Once
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.exchange.moved()
	if cause := context.Cause(d.exchange.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (d *download) Close() error {
	defer d.once.Do(d.exchange.release)
	return d.ReadCloser.Close()
}
