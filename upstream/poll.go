package upstream

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"pollbridge/internal/socket"
	"pollbridge/session"

	"github.com/valyala/fasthttp"
)

func newPollPool(cfg Config, d *dialer) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: d.address, // its TLS, if any, is the dialer's
		DialTimeout: func(_ string, timeout time.Duration) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			conn, err := d.dial(ctx)
			if err != nil {
				return nil, err
			}
			return &pollConn{Conn: conn, socket: socket.Of(conn)}, nil
		},
		MaxConns:                      cfg.MaxInflight,
		MaxConnDuration:               connectionAge,
		MaxIdleConnDuration:           10 * time.Second,
		MaxIdemponentCallAttempts:     1, // Poll itself repeats, and knows when it may
		MaxResponseBodySize:           maxAnswer,
		ReadBufferSize:                16 << 10,
		NoDefaultUserAgentHeader:      true,
		DisablePathNormalizing:        true,
		DisableHeaderNamesNormalizing: false,
		SecureErrorLogMessage:         true,
	}
}

// Poll asks the upstream once about a variant and reads its answer. It returns a
// *Failure where there is none. It blocks for at most a few seconds to be admitted,
// and then as long as health and the timeout allow; ctx governs only the former,
// because an answer that is given up may have been the only one.
func (c *Client) Poll(ctx context.Context, v *session.Variant, _ session.PollOptions) (*session.Observation, error) {
	release, err := c.slots.forPoll(ctx)
	if err != nil {
		c.metrics.countPoll(v.Endpoint.Name, outcome(nil, err))
		return nil, err
	}
	defer release()
	probing := c.guard.probing()
	var observation *session.Observation
	notSent := c.guard.run(func() (verdict error) {
		observation, verdict, err = c.measured(v, probing)
		return verdict
	})
	if notSent != nil {
		c.metrics.countPoll(v.Endpoint.Name, outcome(nil, notSent))
		return nil, notSent
	}
	return observation, err
}

// measured is one exchange, and what the breaker is told of it.
func (c *Client) measured(v *session.Variant, probing bool) (observation *session.Observation, verdict, err error) {
	start := time.Now()
	observation, err = c.exchange(v, c.health.patience(start, probing))
	verdict = pollVerdict(err)
	took := time.Since(start)
	switch {
	case err == nil:
		c.health.answered(took)
	case verdict != errNoVerdict:
		c.health.failed(time.Now())
	}
	c.metrics.observePoll(v.Endpoint.Name, outcome(observation, err), took)
	return observation, verdict, err
}

// pollVerdict is what the breaker is told. A 4xx that is no answer, such as the page
// of a web server that dislikes a token, says nothing about the upstream's health: one
// client must not be able to open the circuit for all.
func pollVerdict(err error) error {
	if failure, ok := errors.AsType[*Failure](err); ok && failure.callers {
		return errNoVerdict
	}
	return err
}

func (c *Client) exchange(v *session.Variant, patience time.Duration) (*session.Observation, error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	c.writePoll(request, v)

	response.Header.SetNoDefaultContentType(true)
	sent := time.Now()
	err := c.polls.DoTimeout(request, response, patience)
	for tries := 0; errors.Is(err, errStale) && tries <= c.polls.MaxConns; tries++ {
		err = c.polls.DoTimeout(request, response, patience) // nothing was sent
	}
	if err != nil && closedWhileIdle(err, response) && time.Since(sent) < atOnce {
		err = c.polls.DoTimeout(request, response, patience)
	}
	if err != nil {
		return nil, brokenExchange(err)
	}
	return c.readAnswer(v, response)
}

// atOnce is how soon a connection that the upstream has closed while it was idle shows
// that when it is used again. Later, the upstream has read the request.
const atOnce = time.Second

// closedWhileIdle reports whether the upstream seems to have closed a connection just
// when it was used again: then it has not read the request, or not acted on it, and a
// poll may be repeated once. Not so if an answer had begun: it may have been the only
// delivery of the document.
func closedWhileIdle(err error, response *fasthttp.Response) bool {
	address, ok := response.RemoteAddr().(pollAddr)
	return ok && address.reused && !address.conn.reading &&
		(errors.Is(err, fasthttp.ErrConnectionClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

func (c *Client) writePoll(request *fasthttp.Request, v *session.Variant) {
	request.Header.SetMethod(v.Endpoint.Method)
	request.SetRequestURI(c.basePath + v.Target())
	request.Header.SetHost(c.base.Host)
	request.Header.SetUserAgent(c.agent)
	request.Header.Set(fasthttp.HeaderAccept, "application/json")
	if name, value := v.Header(); name != "" {
		request.Header.Set(name, value)
	}
	if body := v.Body(); body != nil {
		request.Header.SetContentType("application/json")
		request.SetBodyRaw(body)
	}
}

func (c *Client) readAnswer(v *session.Variant, response *fasthttp.Response) (*session.Observation, error) {
	body, decoded, err := plainBody(response)
	if err != nil {
		return nil, failed(Unreadable, err)
	}
	answer, err := v.Endpoint.Answer.Read(response.StatusCode(), body)
	if err != nil {
		return nil, badAnswer(response.StatusCode(), err)
	}
	content, shared := c.contents.share(newContent(response, body, decoded))
	return &session.Observation{
		At: time.Now(), Answer: answer, Locale: int32(v.Locale), Shared: shared, Content: content,
	}, nil
}

// plainBody returns the body of an answer in memory that is the caller's. No poll
// asks for a compressed body; one that comes nevertheless is decoded, since the
// clients that it will be answered to did not ask either.
func plainBody(response *fasthttp.Response) (body []byte, decoded bool, err error) {
	if encoding := response.Header.ContentEncoding(); len(encoding) == 0 || string(encoding) == "identity" {
		return fitted(response.SwapBody(nil)), false, nil
	}
	body, err = response.BodyUncompressedWithLimit(maxAnswer)
	return fitted(body), true, err
}

// fitted gives back the memory that a body does not need: buffers grow to powers of
// two, and an answer is held for a while.
func fitted(body []byte) []byte {
	if cap(body)-len(body) > len(body)/4 {
		return bytes.Clone(body)
	}
	return body
}
