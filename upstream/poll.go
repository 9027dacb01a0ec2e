package upstream

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"pollbridge/internal/socket"
	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/valyala/fasthttp"
)

func newPollClient(cfg Config, d *dialer) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: d.address, // its TLS, if any, and its proxy are the dialer's
		DialTimeout: func(_ string, timeout time.Duration) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			conn, err := d.dial(ctx)
			if err != nil {
				return nil, err
			}
			return &pollConn{Conn: conn, socket: socket.Of(conn)}, nil
		},
		MaxConns:                  cfg.MaxInflight,
		MaxConnDuration:           connectionAge,
		MaxIdleConnDuration:       connectionIdle,
		MaxIdemponentCallAttempts: 1, // Poll itself repeats, and knows when it may
		MaxResponseBodySize:       maxAnswer,
		ReadBufferSize:            maxHead,
		NoDefaultUserAgentHeader:  true,
		DisablePathNormalizing:    true,
		SecureErrorLogMessage:     true,
	}
}

// Poll asks the upstream once about a variant and reads its answer. It returns a
// *Failure where there is no observation, or the cause of ctx. It blocks for at most a few seconds to be
// admitted, and then as long as timeouts allow; ctx governs only the former, because an
// answer that is given up may have been the only one.
func (c *Client) Poll(ctx context.Context, v *session.Variant, o session.PollOptions) (observation *session.Observation, err error) {
	who := c.caller(v)
	release, err := c.admit(ctx, who, o.Client)
	if err != nil && ctx.Err() != nil {
		return nil, err // it is no request
	}
	if err == nil {
		defer release()
		err = c.breaker.run(who.session, func(probing bool) error {
			start, span := time.Now(), c.begin(o.Span, v)
			defer span.End()
			observation, err = c.exchange(v, who, o, span, c.timeouts.next(who.session, start, probing))
			took := time.Since(start)
			c.timeouts.ended(who.session, err, start.Add(took), took)
			c.metrics.observeSeconds(v.Endpoint.Name, took, span)
			span.Outcome(Outcome(observation, err), err != nil)
			return err
		})
	}
	c.metrics.count(v.Endpoint.Name, Outcome(observation, err))
	o.Span.Outcome(Outcome(observation, err), err != nil)
	return observation, err
}

// admit waits until a poll may be sent. If the error is nil, the caller must call
// release.
func (c *Client) admit(ctx context.Context, who caller, client <-chan struct{}) (release func(), err error) {
	if err := c.holds.check(who); err != nil {
		return nil, err
	}
	if err := c.breaker.open(); err != nil {
		return nil, err
	}
	if err := c.rate.wait(ctx, client); err != nil {
		return nil, err
	}
	release, err = c.inflight.poll(ctx)
	if err != nil {
		return nil, err
	}
	err = c.holds.check(who) // it may have been told so meanwhile
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (c *Client) exchange(v *session.Variant, who caller, o session.PollOptions, span *tracing.Span, timeout time.Duration) (*session.Observation, error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	c.writePoll(request, v, o.Origin)
	span.Context().Write(request.Header.Set)

	response.Header.SetNoDefaultContentType(true)
	if err := c.send(request, response, timeout); err != nil {
		return nil, brokenExchange(err)
	}
	span.Status(response.StatusCode())
	return c.readAnswer(v, who, o, response)
}

// atOnce is how soon a connection that the upstream has closed while it was idle shows
// that when it is used again. Later, the upstream has read the request.
const atOnce = time.Second

// send sends a request, again as long as it meets connections that are stale, and once
// more if the upstream seems to have closed a connection just when it was used again:
// then it has not read the request, or not acted on it. Not so if an answer had begun:
// it may have been the only delivery of the document.
func (c *Client) send(request *fasthttp.Request, response *fasthttp.Response, timeout time.Duration) error {
	for repeated := false; ; {
		sent := time.Now()
		err := c.polls.DoTimeout(request, response, timeout)
		if errors.Is(err, errStale) {
			continue
		}
		address, ok := response.RemoteAddr().(pollAddr)
		switch {
		case err == nil || !ok:
			return err
		case address.conn.head.err != nil:
			return address.conn.head.err // which fasthttp takes for another
		case repeated || time.Since(sent) > atOnce || !address.conn.closedWhileIdle(err):
			return err
		}
		repeated = true
	}
}

func (c *Client) writePoll(request *fasthttp.Request, v *session.Variant, origin string) {
	request.Header.SetMethod(v.Endpoint.Method)
	request.SetRequestURI(c.basePath + v.Target())
	request.Header.SetHost(c.base.Host)
	if c.origin != "" {
		uri := request.URI()
		uri.SetPath(c.origin + string(uri.PathOriginal())) // sent as it stands
	}
	if c.proxyAuth != "" {
		request.Header.Set(fasthttp.HeaderProxyAuthorization, c.proxyAuth)
	}
	request.Header.SetUserAgent(c.agent)
	request.Header.Set(fasthttp.HeaderAccept, "application/json")
	if origin != "" {
		request.Header.Set(fasthttp.HeaderOrigin, origin)
	}
	if name, value := v.Header(); name != "" {
		request.Header.Set(name, value)
	}
	if body := v.Body(); body != nil {
		request.Header.SetContentType("application/json")
		request.SetBodyRaw(body)
	}
}

func (c *Client) readAnswer(v *session.Variant, who caller, o session.PollOptions, response *fasthttp.Response) (*session.Observation, error) {
	status, wait := response.StatusCode(), retryAfter(response)
	if err := c.notTheUpstreams(status); err != nil {
		return nil, brokenExchange(err)
	}
	c.holds.told(who, status, wait)
	if wait > 0 && c.held != nil {
		c.held(v, status, wait)
	}
	if location := c.pointsTo(v, response); location != "" {
		c.redirects.answered(v, status, location)
	}
	if o.Origin != "" && o.CORS != nil {
		o.CORS(fields(response, isAccessControl))
	}
	body, decoded, err := plainBody(response)
	if err != nil {
		return nil, noObservation(status, err, nil, wait)
	}
	content, shared := newContent(response, body, decoded, o.Origin != ""), false
	answer, err := v.Endpoint.Answer.Read(status, body)
	if err != nil {
		return nil, noObservation(status, err, content, wait)
	}
	c.redirects.answered(v, status, "")
	if answer.State == session.Pending {
		content, shared = c.contents.share(content)
	}
	return &session.Observation{
		At: time.Now(), Answer: answer, Locale: int32(v.Locale), Shared: shared, Poll: o.Span.Context(), Content: content,
	}, nil
}

// plainBody returns the body of an answer in memory that is the caller's. No poll
// asks for a compressed body; one that comes nevertheless is decoded, since the
// clients that it will be answered to did not ask either.
func plainBody(response *fasthttp.Response) (body []byte, decoded bool, err error) {
	switch encoding := bytes.ToLower(response.Header.ContentEncoding()); string(encoding) {
	case "", "identity":
		return fitted(response.SwapBody(nil)), false, nil
	case "x-gzip": // RFC 9110, 8.4.1.3
		response.Header.SetContentEncoding("gzip")
	}
	body, err = response.BodyUncompressedWithLimit(maxAnswer)
	return fitted(body), true, err
}

// fitted gives back the memory that a body does not need: buffers grow to powers of
// two, and an answer is held for a while.
func fitted(body []byte) []byte {
	if cap(body)-len(body) > len(body)/16 {
		return bytes.Clone(body)
	}
	return body
}
