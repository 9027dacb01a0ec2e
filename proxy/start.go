package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/watch"
	"pollbridge/webhook"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Watches watches sessions in the background; see watch.Watcher.
type Watches interface {
	// Started is told of each session that a call has started, before the client is
	// answered.
	Started(ctx context.Context, v *session.Variant) error
	// Watch begins to watch a session, durable when it returns nil.
	Watch(ctx context.Context, v *session.Variant) (watch.Session, error)
	// Subject is what events about a session are about.
	Subject(v *session.Variant) event.Subject
}

// start is a start call that passes through. What it says is picked up while it does:
// the credential from the request, the token from the answer.
type start struct {
	server     *Server
	call       session.Start
	credential *session.StartCredential // is shown the body of the request
	target     *webhook.AttachOptions   // where the events have to go; nil: where they always do
	span       *tracing.Span            // of the request
}

// started returns the start call that a request is, or nil.
func (s *Server) started(c *fiber.Ctx, h head, to target, span *tracing.Span) (*start, error) {
	if s.options.Watches == nil && !h.webhook {
		return nil, nil
	}
	header := &c.Request().Header
	call, ok := s.options.Table.Start(header.Method(), to.path)
	if !ok {
		return nil, nil
	}
	if span.Recorded() {
		span.Route(string(header.Method()), call.Endpoint.StartPath(call.Locale), call.Endpoint.Name)
	}
	p := &start{server: s, call: call, credential: call.Credential(to.query, header), span: span}
	if h.webhook {
		target, err := s.target(header)
		if err != nil {
			return nil, err
		}
		p.target = &target
	}
	return p, nil
}

// answered reads the answer to the call, if that says that a session has begun: before
// the client is told so, it is watched. Such an answer is small; what turns out not to
// be passes on as it came.
func (p *start) answered(answer *http.Response) error {
	if answer.StatusCode < 200 || answer.StatusCode > 299 || answer.ContentLength > smallBody {
		return nil
	}
	whole, err := io.ReadAll(io.LimitReader(answer.Body, smallBody+1))
	if err != nil {
		return brokenAnswer(err)
	}
	body := answer.Body
	answer.Body = reread{io.MultiReader(bytes.NewReader(whole), body), body}
	if len(whole) > smallBody {
		return nil
	}
	answer.ContentLength = int64(len(whole))
	p.begin(answer.StatusCode, plain(whole, answer.Header.Get(fasthttp.HeaderContentEncoding)))
	return nil
}

// reread is a body of which a part was read before.
type reread struct {
	io.Reader
	io.Closer
}

// plain decodes a small body, should the client have asked for a compressed one.
func plain(body []byte, encoding string) []byte {
	if encoding == "" {
		return body
	}
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	response.Header.SetContentEncoding(encoding)
	response.SetBodyRaw(body)
	decoded, err := response.BodyUncompressedWithLimit(session.MaxBody)
	if err != nil {
		return nil
	}
	return decoded
}

// registering bounds how long a request is held up by what has to become durable.
const registering = 2 * time.Second

// registration is the context in which that is stored. It ends while there is time for the answer when draining has
// to: the token in it must not get lost.
func (s *Server) registration(span *tracing.Span) (ctx context.Context, end func()) {
	ctx, cancel := context.WithTimeout(tracing.With(context.Background(), span), registering)
	stop := context.AfterFunc(s.serving, func() { time.AfterFunc(lastWord/2, cancel) })
	return ctx, func() {
		stop()
		cancel()
	}
}

// begin has the session watched that an answer says has begun. The answer is given
// whatever becomes of that: the signing is under way, and its token must not get lost.
func (p *start) begin(status int, body []byte) {
	token, ok := p.call.ReadToken(status, body)
	if !ok {
		return // the call has failed, and the answer says why
	}
	credential, ok := p.credential.Value()
	if !ok {
		p.missed("its credential could not be read", nil)
		return
	}
	v, err := p.call.Variant(token, credential)
	if err != nil {
		p.missed("it cannot be asked for", err)
		return
	}
	if p.target != nil {
		if err := p.server.attach(v, *p.target, p.span); err != nil {
			p.missed("it could not be registered", err)
		}
		return
	}
	ctx, cancel := p.server.registration(p.span)
	defer cancel()
	if err := p.server.options.Watches.Started(ctx, v); err != nil && !errors.Is(err, watch.ErrFull) { // which is logged there
		p.missed("it could not be registered", err)
	}
}

// missed logs that a session is not watched from its start. Unless its webhook was
// named by this call, it still may be from its first poll on.
func (p *start) missed(why string, err error) {
	log := p.server.options.Log.Debug
	if p.target != nil || err != nil {
		log = p.server.options.Log.Warn
	}
	log("a session that was started is not watched", "endpoint", p.call.Endpoint.Name, "why", why, "error", err, "webhook", p.target != nil)
}
