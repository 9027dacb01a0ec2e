package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var errUpgrade = errors.New("the upstream switches to a protocol that nobody asked for")

func newTransport(d *dialer, idle int) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := d.dial(ctx, "h2", "http/1.1")
		if err != nil || speaksHTTP2(conn) {
			return conn, err
		}
		return newForwardConn(conn), nil
	}
	return &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		DisableCompression:     true, // or it would ask for gzip and unpack it
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        connectionIdle,
		MaxResponseHeaderBytes: maxHead,
	}
}

// transport returns the pool of connections for what passes through. Now and then that
// is a new one: its connections grow old no other way.
func (c *Client) transport() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forwards == nil || time.Since(c.forwardsMade) > connectionAge {
		if c.forwards != nil {
			c.forwards.CloseIdleConnections()
		}
		c.forwards, c.forwardsMade = newTransport(c.dialer, c.idle), time.Now()
	}
	return c.forwards
}

// URL returns the address of a request target at the upstream. net/http sends it as it
// stands: no cleaning, no decoding, no new order. It must start with a slash. One that
// starts with two can be sent only if its path is well encoded.
func (c *Client) URL(target string) (*url.URL, error) {
	path, query, hasQuery := strings.Cut(target, "?")
	u := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, RawQuery: query, ForceQuery: hasQuery}
	raw := c.basePath + path
	if c.origin != "" {
		u.Opaque = strings.TrimPrefix(c.origin, u.Scheme+":") + raw // sent with the scheme before it
		return u, nil
	}
	if !strings.HasPrefix(raw, "//") {
		u.Opaque = raw
		return u, nil
	}
	// An opaque "//x/y" would be sent in absolute form, to a host named x.
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	u.Path, u.RawPath = decoded, raw
	if u.EscapedPath() != raw {
		return nil, fmt.Errorf("%w: a path that starts with two slashes has to be well encoded", ErrInvalid)
	}
	return u, nil
}

// Forward sends a request as it is and returns the answer as it comes; the
// caller must close its body. It returns a *Failure where there is none, unless the
// request's context ended or reading its body failed: then it returns that error.
// interim, unless it is nil, is told of the upstream's interim answers, by another
// goroutine; while it blocks, nothing more is read of the answer.
//
// Its span, which is part of the one in the request's context, ends there too.
//
// A request counts as in flight until the body is closed. None is sent again that the
// upstream may have seen, but for GET, HEAD, OPTIONS and TRACE without a body.
func (c *Client) Forward(request *http.Request, interim func(code int, header http.Header)) (response *http.Response, err error) {
	if err := checkSendable(request, c.origin); err != nil {
		return nil, err
	}
	defer func() { c.metrics.count(passthrough, forwarded(response, err)) }()
	leave, err := c.inflight.forward(request.Context())
	if err != nil {
		return nil, err
	}
	probing, err := c.breaker.admit()
	if err != nil {
		leave()
		return nil, err
	}
	x := newExchange(request, interim, c.silence, leave)
	x.trace(c)
	if c.proxyAuth != "" {
		x.request.Header = x.request.Header.Clone()
		x.request.Header.Set("Proxy-Authorization", c.proxyAuth)
	}
	start := time.Now()
	response, err = x.send(c.transport())
	if err == nil {
		if err = c.notTheUpstreams(response.StatusCode); err != nil {
			response.Body.Close()
			err = brokenExchange(err)
		}
	}
	verdict := verdictOf(err)
	if err == nil && response.StatusCode >= http.StatusInternalServerError {
		verdict = nothing
	}
	c.breaker.ended(probing, verdict, err)
	c.metrics.observeSeconds(passthrough, time.Since(start), x.span)
	if err != nil {
		x.span.Failed(failureOf(err))
		x.release()
		return nil, err
	}
	x.span.Status(response.StatusCode)
	response.Body = &download{response.Body, x}
	return response, nil
}

// notTheUpstreams is the error of answers that cannot be one to what was asked.
func (c *Client) notTheUpstreams(status int) error {
	switch {
	case status == http.StatusSwitchingProtocols:
		return errUpgrade
	case status == http.StatusProxyAuthRequired && c.origin != "":
		return &connectError{errProxyAuth}
	}
	return nil
}
