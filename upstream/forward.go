package upstream

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// forwardPatience is how long a passed-through exchange may stand still, if the
// timeout is not longer. Starting a signing takes its time.
const forwardPatience = time.Minute

func newForwardPool(cfg Config, d *dialer) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }
	return &http.Transport{
		DialContext:        dial,
		DialTLSContext:     dial,
		DisableCompression: true, // or it would ask for gzip and unpack it

		MaxConnsPerHost:        cfg.MaxInflight,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Target is a request target as it was received, kept byte for byte.
type Target struct {
	Path       string
	Query      string // without the question mark
	ForceQuery bool   // there is a question mark, even if nothing follows it
}

// URL returns the address of a target at the upstream. net/http sends it as it
// stands: no cleaning, no decoding, no new order. The path must start with a slash.
// One that starts with two can be sent only if it is well encoded.
func (c *Client) URL(t Target) (*url.URL, error) {
	u := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, RawQuery: t.Query, ForceQuery: t.ForceQuery}
	raw := c.basePath + t.Path
	if !strings.HasPrefix(raw, "//") {
		u.Opaque = raw
		return u, nil
	}
	// An opaque "//x/y" would be sent in absolute form, to a host named x.
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	u.Path, u.RawPath = path, raw
	if u.EscapedPath() != raw {
		return nil, fmt.Errorf("%w: a path that starts with two slashes has to be well encoded", ErrInvalid)
	}
	return u, nil
}

// Forward sends a request as it is and returns the answer as it comes; the
// caller must close its body. It returns a *Failure where there is none, unless the
// request's context ended or reading its body failed: then it returns that error.
// The slot is held until the body is closed. It sends nothing twice: each request
// has a connection of its own.
func (c *Client) Forward(request *http.Request) (*http.Response, error) {
	if err := checkSendable(request); err != nil {
		return nil, err
	}
	p, err := c.pass(request.Context())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(request.Context())
	silence := newWatchdog(max(forwardPatience, c.timeout), func() { stop(errSilent) })
	p.onEnd = func() { silence.stop(); stop(nil) }
	request = request.WithContext(ctx)
	body := &uploaded{ReadCloser: request.Body, progress: silence.reset}
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = body
	}
	response, err := c.forwards.RoundTrip(request)
	if err != nil {
		if broken := body.failure(); broken != nil && ctx.Err() == nil {
			err = &clientsFault{broken}
		}
		return nil, p.failed(ctx, err)
	}
	p.answered(response.StatusCode, time.Now())
	response.Body = &download{ReadCloser: response.Body, progress: silence.reset, end: p.release}
	return response, nil
}

// checkSendable finds what the transport would refuse to write, before that looks
// like a failure of the upstream.
func checkSendable(request *http.Request) error {
	if err := checkLine(request.Method, request.URL.RequestURI()); err != nil {
		return err
	}
	for name, values := range request.Header {
		for _, value := range values {
			if err := checkField(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}
