package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// forwardPatience is how long a passed-through exchange may stand still, if the
// timeout is not longer. Starting a signing takes its time.
const forwardPatience = time.Minute

func newForwardPool(cfg Config, d *dialer) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }
	return &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		DisableCompression:     true, // or it would ask for gzip and unpack it
		MaxIdleConns:           cfg.MaxInflight,
		MaxIdleConnsPerHost:    cfg.MaxInflight,
		MaxConnsPerHost:        cfg.MaxInflight,
		IdleConnTimeout:        10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Target is a request target as it was received, kept byte for byte.
type Target struct{ Path, Query string }

// URL returns the address of a target at the upstream. net/http sends it as it
// stands: no cleaning, no decoding, no new order. The path must start with a slash.
// One that starts with two can be sent only if it is well encoded.
func (c *Client) URL(t Target) (*url.URL, error) {
	u := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, RawQuery: t.Query}
	raw := c.basePath() + t.Path
	if !strings.HasPrefix(raw, "//") {
		u.Opaque = raw
		return u, nil
	}
	// An opaque "//x/y" would be sent in absolute form, to a host named x.
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath = path, raw
	if u.EscapedPath() != raw {
		return nil, fmt.Errorf("upstream: a path that starts with two slashes cannot be sent as it stands")
	}
	return u, nil
}

// Forward sends a request as it is, once, and returns the answer as it comes; the
// caller must close its body. It returns a *Failure where there is none, unless the
// request's context ended or reading its body failed: then it returns that error.
// The slot is held until the body is closed.
func (c *Client) Forward(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	release, err := c.slots.forForward(ctx)
	if err != nil {
		c.metrics.countPoll(passthrough, outcome(nil, err))
		return nil, err
	}
	done, err := c.guard.enter()
	if err != nil {
		release()
		c.metrics.countPoll(passthrough, outcome(nil, err))
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	silence := newWatchdog(max(forwardPatience, c.timeout), func() { stop(errSilent) })
	end := func() { silence.stop(); stop(nil); release() }
	request = request.WithContext(ctx)
	body := &uploaded{ReadCloser: request.Body, progress: silence.reset}
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = body
	}
	start := time.Now()
	response, err := c.forwards.RoundTrip(request)
	if err != nil {
		err = blame(ctx, body, err)
		end()
		done(verdict(err))
		c.metrics.observePoll(passthrough, outcome(nil, err), time.Since(start))
		return nil, err
	}
	done(statusVerdict(response.StatusCode))
	c.metrics.observePoll(passthrough, strconv.Itoa(response.StatusCode/100)+"xx", time.Since(start))
	response.Body = &download{ReadCloser: response.Body, progress: silence.reset, end: end}
	return response, nil
}

var errSilent = errors.New("nothing moved for too long")

// blame finds out who ended an exchange: the client that left or sent a broken
// body, or the upstream.
func blame(ctx context.Context, body *uploaded, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errSilent) {
			return failed(Timeout, cause)
		}
		return cause
	}
	if broken := body.failure(); broken != nil {
		return broken
	}
	return brokenExchange(err)
}

func verdict(err error) error {
	if _, ours := errors.AsType[*Failure](err); ours {
		return err
	}
	return errNoVerdict
}

// statusVerdict counts as failures only the answers of a server that cannot be
// reached or cannot cope: a plain 500 may be the request's own fault, and one client
// must not be able to open the circuit for all.
func statusVerdict(status int) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return failed(Server, nil)
	}
	return nil
}
