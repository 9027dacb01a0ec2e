package upstream

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"
)

// forwardTimeout is how long a passed-through exchange may stand still, if the
// timeout is not longer. Starting a signing takes its time.
const forwardTimeout = time.Minute

// interimMost is how many interim answers may come before the answer.
const interimMost = 100

var (
	errSilent   = silence{errors.New("nothing moved for too long")}
	errRepeated = errors.New("the upstream may have seen the request, so it is not sent twice")
	errInterim  = errors.New("too many interim answers")
	errUpgrade  = errors.New("the upstream switches to a protocol that nobody asked for")
)

type silence struct{ error }

func (silence) Timeout() bool { return true }

// exchange is one request that passes through.
type exchange struct {
	client    *Client
	leave     func() // what is in flight
	transport *http.Transport
	start     time.Time
	probing   bool
	ctx       context.Context // ends with the client's, or when it is given up here
	stop      context.CancelCauseFunc
	silence   *time.Timer  // stops it once nothing has moved for a while
	upload    *upload      // nil if the request has no body
	conn      *forwardConn // nil if it is HTTP/2, or none yet
	reused    bool         // conn has served before
	safe      bool         // it may be sent twice
	begun     atomic.Bool  // something of it may have been sent
	interim   int
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
	x := &exchange{client: c, leave: leave, transport: c.transport(), start: time.Now(), probing: probing}
	x.ctx, x.stop = context.WithCancelCause(ctx)
	x.silence = time.AfterFunc(c.silence, func() { x.stop(errSilent) })
	return x, nil
}

func (x *exchange) moved() { x.silence.Reset(x.client.silence) }

// prepare returns the request as the transport gets it.
func (x *exchange) prepare(request *http.Request) *http.Request {
	request = request.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		GotConn:          x.gotConn,
		WroteHeaderField: func(string, []string) { x.begun.Store(true) },
		Got1xxResponse:   x.gotInterim,
	}))
	if request.Body != nil && request.Body != http.NoBody {
		x.upload = &upload{ReadCloser: request.Body, moved: x.moved}
		context.AfterFunc(x.ctx, x.upload.end) // the transport waits for who reads it
	}
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		x.safe = x.upload == nil
	}
	request.Header = maps.Clone(request.Header)
	// With these, net/http takes any request for one that may be repeated; it looks for
	// them in this spelling only.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := request.Header[name]; ok {
			delete(request.Header, name)
			request.Header[strings.ToLower(name)] = values
		}
	}
	if x.client.proxyAuth != "" {
		request.Header.Set("Proxy-Authorization", x.client.proxyAuth)
	}
	return request
}

// send sends the request, again if the transport gave up on a connection that the upstream
// had closed before anything was written on it.
func (x *exchange) send(request *http.Request) (response *http.Response, err error) {
	for range x.client.idle + 1 {
		if x.upload != nil {
			request.Body = x.upload.attempt()
		}
		x.conn = nil
		response, err = x.transport.RoundTrip(request)
		if err == nil || x.conn == nil || !x.reused || x.conn.wrote.Load() || x.upload.begun() || x.ctx.Err() != nil {
			break
		}
	}
	return response, err
}

// gotConn is called before the request is written on a connection.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	conn, ok := info.Conn.(*forwardConn)
	x.conn, x.reused = conn, info.Reused
	switch {
	case ok && !conn.begin(info.Reused):
		conn.Close() // nothing was written, so the transport takes another one
	case !ok && x.begun.Load() && !x.safe:
		// HTTP/2: the transport repeats a request that the upstream has refused, for some
		// reasons of which it might have acted on it before.
		x.stop(errRepeated)
	}
}

func (x *exchange) gotInterim(int, textproto.MIMEHeader) error {
	if x.interim++; x.interim > interimMost {
		x.stop(errInterim)
	}
	x.moved()
	return nil
}

// failed ends the exchange and returns whose fault that was: the cause of the client's
// context, the error of its body, or a failure of the upstream.
func (x *exchange) failed(ctx context.Context, err error) error {
	defer x.release()
	switch broken := x.upload.failure(); {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case x.ctx.Err() != nil:
		err = brokenExchange(context.Cause(x.ctx))
	case broken != nil:
		err = broken
	case x.conn.framing() != nil: // which net/http takes for another error
		err = brokenExchange(x.conn.framing())
	default:
		err = brokenExchange(err)
	}
	x.client.breaker.ended(x.probing, err)
	x.client.metrics.count(passthrough, outcome(nil, err))
	x.client.metrics.observeSeconds(passthrough, time.Since(x.start))
	return err
}

// answered tells that the head of an answer has come.
func (x *exchange) answered(status int) {
	var verdict error
	if status >= http.StatusInternalServerError {
		verdict = errNoVerdict
	}
	x.client.breaker.ended(x.probing, verdict)
	x.client.metrics.count(passthrough, statusClass(status))
	x.client.metrics.observeSeconds(passthrough, time.Since(x.start))
}

// release ends the exchange. It may be called once.
func (x *exchange) release() {
	x.silence.Stop()
	x.upload.end()
	x.stop(nil)
	if x.transport != x.client.transport() {
		x.transport.CloseIdleConnections()
	}
	x.leave()
}
