package proxy

import (
	"io"
	"iter"
	"net/http"
	"net/textproto"
	"slices"
	"sync"

	"pollbridge/session"
	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// smallBody is the size in bytes up to which bodies of requests and answers are held
// whole: that frees connections sooner, and costs less.
const smallBody = 16 << 10

// forward passes a request through. begun is the part of its body that was read
// already; it must not be used again by the caller. start is nil unless it is a start
// call.
func (s *Server) forward(c *fiber.Ctx, begun []byte, start *start) (err error) {
	p := passings.Get().(*passing)
	p.server, p.start = s, start
	seatOf(c).watchFor(&p.watched, p)
	p.id = append(p.idMemory[:0], c.Response().Header.PeekBytes(requestIDKey)...)
	answered := false
	defer func() {
		if !answered { // there is an error, or a panic
			p.end()
			c.Response().Reset() // it may have begun to be that of the upstream
			c.Response().Header.SetCanonical(requestIDKey, p.id)
		}
	}()
	var code int
	if length := c.Request().Header.ContentLength(); 0 <= length && length <= smallBody || length == noBody {
		code, err = p.relay(c, begun, length)
	} else {
		code, err = p.stream(c, begun, length)
	}
	if err != nil {
		s.metrics.countPassthrough(public(err).status)
		return err
	}
	answered = true
	s.metrics.countPassthrough(code)
	p.useAgain()
	return nil
}

// noBody is what the engine says of a request that has none, and nothing that says
// so.
const noBody = -2

// passing is one request that passes through.
type passing struct {
	server   *Server
	start    *start // nil unless it is a start call
	client   visitor
	watched  waiter
	upload   *clientBody          // nil unless it streams
	relayed  upstream.RelayedBody // unless it streams
	over     bool
	left     bool   // the client has, before it was over
	id       []byte // of the request
	idMemory [32]byte
}

// passings are for requests to come: what is made anew for each of them costs more by
// pushing other memory out of the caches than by being made.
var passings = sync.Pool{New: func() any { return new(passing) }}

// useAgain gives p to a later request, unless something may still refer to it: what
// streams is over later, and its body may be read by others even then.
func (p *passing) useAgain() {
	if !p.over || p.left || p.upload != nil || !p.client.renew() {
		return
	}
	p.server, p.start, p.id, p.over = nil, nil, nil, false
	p.relayed = upstream.RelayedBody{}
	passings.Put(p)
}

// gone is called when the client has left.
func (p *passing) gone() { p.client.leave(errClientGone) }

// end is to be called when the answer has been sent. Further calls do nothing.
func (p *passing) end() {
	if p.over {
		return
	}
	p.over = true
	if p.upload != nil {
		p.upload.Close()
	}
	p.left = !p.watched.stop()
}

// stream passes a request through whose body is large or of unknown length, streaming
// both ways.
func (p *passing) stream(c *fiber.Ctx, begun []byte, length int) (code int, err error) {
	target := c.Request().Header.RequestURI()
	path, query := session.SplitTarget(target)
	url, err := p.server.upstream.URL(upstream.Target{Path: string(path), Query: string(query), ForceQuery: len(path) < len(target)})
	if err != nil {
		return 0, err
	}
	p.upload = newClientBody(c, begun, length)
	request := &http.Request{
		Method:        string(c.Request().Header.Method()),
		URL:           url,
		Host:          url.Host,
		Header:        collected(p.server.forwarded(c)),
		Body:          p.upload,
		ContentLength: int64(length),
	}
	if p.start != nil {
		request.Body = tap{p.upload, p.start}
	}
	response, err := p.server.upstream.Forward(request.WithContext(&p.client))
	if err != nil {
		return 0, gatewayError(err)
	}
	return p.sendBack(c, answer{
		status: response.StatusCode, length: int(response.ContentLength), body: response.Body,
		header: response.Header, encoding: response.Header.Get(fasthttp.HeaderContentEncoding),
	})
}

// collected is a header for net/http.
func collected(fields iter.Seq2[[]byte, []byte]) http.Header {
	header := make(http.Header, 16)
	for name, value := range fields {
		canonical := textproto.CanonicalMIMEHeaderKey(string(name))
		header[canonical] = append(header[canonical], string(value))
	}
	if _, given := header["User-Agent"]; !given {
		header["User-Agent"] = []string{""} // else net/http sends its own
	}
	return header
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

// answer is what the upstream says to a request that passes through.
type answer struct {
	status   int
	length   int         // of the body; negative if that is not known
	header   http.Header // of the answer to a request that streamed; nil if it stands in the response
	encoding string      // of the content
	body     io.ReadCloser
}

// sendBack gives an answer to the client, streaming if it is not small. Until that is
// over the engine leaves the body of the request alone, so an upstream may answer
// while it still reads. It returns the status code that the client gets.
func (p *passing) sendBack(c *fiber.Ctx, a answer) (code int, err error) {
	if p.start != nil {
		if err := p.start.answered(&a); err != nil {
			a.body.Close()
			return 0, err
		}
	}
	response := c.Response()
	a.copyBack(&response.Header)
	response.Header.SetCanonical(requestIDKey, p.id)
	head := c.Method() == http.MethodHead
	switch {
	case head || a.status == http.StatusNoContent || a.status == http.StatusNotModified:
		response.SkipBody = true
		if head && a.length >= 0 {
			response.Header.SetContentLength(a.length) // before the status, or it would not do so for 304
		} else {
			response.Header.Del(fasthttp.HeaderContentLength)
		}
	case 0 <= a.length && a.length <= smallBody:
		if err := a.readWhole(response); err != nil {
			a.body.Close()
			return 0, gatewayError(upstream.BrokenAnswer(err))
		}
	case a.length < 0 && !c.Request().Header.IsHTTP11():
		whole, err := readForHTTP10(a.body)
		if err != nil {
			a.body.Close()
			return 0, err
		}
		response.SetBodyRaw(whole)
	default:
		response.SetBodyStream(&answerBody{a.body, p.end}, a.length)
		response.ImmediateHeaderFlush = true // the body may be a long time coming
		response.SetStatusCode(a.status)
		return a.status, nil
	}
	response.SetStatusCode(a.status)
	p.finish(a.body)
	return a.status, nil
}

// keptBody is the size in bytes up to which memory for the body of an answer stays with
// the connection.
const keptBody = 2 << 10

// readWhole reads a body of known length into the response.
func (a *answer) readWhole(response *fasthttp.Response) error {
	if a.length > keptBody {
		whole := make([]byte, a.length)
		response.SetBodyRaw(whole)
		_, err := io.ReadFull(a.body, whole)
		return err
	}
	whole := slices.Grow(response.SwapBody(nil)[:0], a.length)[:a.length]
	_, err := io.ReadFull(a.body, whole)
	response.SwapBody(whole)
	return err
}

func (p *passing) finish(body io.Closer) {
	body.Close()
	p.end()
}

// readForHTTP10 reads an answer of unknown length for a client that cannot be told
// where it ends while it streams.
func readForHTTP10(body io.Reader) ([]byte, error) {
	const most = 8 << 20
	whole, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, gatewayError(upstream.BrokenAnswer(err))
	}
	if len(whole) > most {
		return nil, refusal(http.StatusHTTPVersionNotSupported, "this answer needs HTTP/1.1")
	}
	return whole, nil
}

// answerBody is the body of an answer on its way to the client.
type answerBody struct {
	io.ReadCloser
	end func()
}

func (b *answerBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
