package proxy

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// statusRequest is the memory that one status request needs; it is used again by the
// next.
type statusRequest struct {
	session.Request
	body    []byte
	scratch []byte
	origin  string        // of the page that asks; empty if there is none
	wait    time.Duration // that the client prefers; 0: it does not want to wait
	span    *tracing.Span
}

// status answers a request that matched an endpoint, unless it turns out to be no
// status request: then it passes through.
func (s *Server) status(c *fiber.Ctx, h head, match session.Match, to target, span *tracing.Span) (outcome, error) {
	r := s.statusRequests.Get().(*statusRequest)
	defer s.statusRequests.Put(r)
	if err := r.readBody(c); err != nil {
		return outcome{}, err
	}
	if h.contentEncoding || len(r.body) > session.MaxBody || !r.Read(match, r.incoming(c, h, match.Endpoint, to.query)) {
		if h.webhook {
			return outcome{}, errHookless
		}
		return outcome{}, s.forward(c, to, bytes.Clone(r.body), nil, span)
	}
	r.origin, r.wait, r.span = "", 0, span
	routed(span, c, match)
	if h.origin {
		r.origin = originOf(&c.Request().Header)
	}
	if h.prefer {
		r.wait = waitPreference(&c.Request().Header)
	}
	if h.webhook {
		return s.hooked(c, r)
	}
	if r.origin == "" {
		result, fresh := s.options.Statuses.Fresh(r.Key(), r.Locale())
		if fresh && (r.wait == 0 || result.State != session.Pending) {
			return s.answer(c, r, result, cors{}), nil
		}
	}
	return s.ask(c, r, r.Variant())
}

func (r *statusRequest) incoming(c *fiber.Ctx, h head, endpoint *session.Endpoint, query []byte) session.Incoming {
	in := session.Incoming{Query: query, Body: r.body}
	if h.authorization || endpoint.Credential.In == session.InHeader {
		in.Header = &c.Request().Header
	}
	return in
}

// readBody reads what is needed to know whether this is a status request: the whole
// body, or a byte more than one may have.
func (r *statusRequest) readBody(c *fiber.Ctx) error {
	r.body = r.body[:0]
	stream := bodyStream(c)
	if stream == nil {
		return nil
	}
	for len(r.body) <= session.MaxBody {
		if len(r.body) == cap(r.body) {
			r.body = append(r.body, make([]byte, max(512, cap(r.body)))...)[:len(r.body)]
		}
		n, err := stream.Read(r.body[len(r.body):cap(r.body)])
		r.body = r.body[:len(r.body)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return brokenBody(err)
		}
	}
	return nil
}

// ask answers what memory could not: it waits for the upstream, and if the client
// prefers so, for the state to change.
func (s *Server) ask(c *fiber.Ctx, r *statusRequest, v *session.Variant) (outcome, error) {
	if r.wait > 0 {
		result, err := s.hold(c, r, v)
		return s.tell(c, r, v, result, err)
	}
	result, err := s.options.Statuses.GetFor(s.asking(r), v, r.origin)
	return s.tell(c, r, v, result, err)
}

// tell answers with what came of asking.
func (s *Server) tell(c *fiber.Ctx, r *statusRequest, v *session.Variant, result cache.Result, err error) (outcome, error) {
	allowed := s.corsOf(r, v)
	if err != nil {
		s.metrics.countError(v.Endpoint)
		return outcome{cors: allowed}, &statusError{result, err}
	}
	return s.answer(c, r, result, allowed), nil
}

func (s *Server) corsOf(r *statusRequest, v *session.Variant) cors {
	if r.origin == "" {
		return cors{}
	}
	fields, known := s.options.Statuses.CORS(v, r.origin)
	return cors{true, known, fields}
}

var (
	cacheStatusKey       = []byte("Cache-Status")
	ageKey               = []byte("Age")
	preferenceAppliedKey = []byte("Preference-Applied")
	cacheControlKey      = []byte("Cache-Control")
	noStore              = []byte("no-store")
)

// answer writes an observation out.
func (s *Server) answer(c *fiber.Ctx, r *statusRequest, result cache.Result, allowed cors) outcome {
	s.metrics.countResult(r.Endpoint(), result.How)
	if r.span != nil {
		answered(r.span, result)
	}
	header := &c.Response().Header
	age := writeContent(c.Response(), result.Content)
	// After the lines of caches that are nearer to the origin.
	r.scratch = appendCacheStatus(r.scratch[:0], result)
	header.AddBytesKV(cacheStatusKey, r.scratch)
	r.scratch = strconv.AppendInt(r.scratch[:0], age+int64(result.Age(result.Made)/time.Second), 10)
	header.SetCanonical(ageKey, r.scratch)
	if r.wait > 0 {
		r.scratch = strconv.AppendInt(append(r.scratch[:0], "wait="...), int64(r.wait/time.Second), 10)
		header.SetCanonical(preferenceAppliedKey, r.scratch)
	}
	return outcome{how: result.How, state: result.State, err: result.Err, cors: allowed}
}

// writeContent writes what the upstream said, and returns the age that it had then, in
// seconds. Where nothing is said about caching, nobody further on may keep the answer.
func writeContent(response *fasthttp.Response, content *session.Content) (age int64) {
	header := &response.Header
	response.SetStatusCode(content.Status)
	header.SetNoDefaultContentType(true)
	cacheable := false
	for _, field := range content.Header {
		switch string(field.Name) {
		case "Age":
			age, _ = strconv.ParseInt(string(field.Value), 10, 32)
			age = max(0, age)
			continue
		case "Cache-Control", "Expires":
			cacheable = true
		}
		header.AddBytesKV(field.Name, field.Value)
	}
	if !cacheable {
		header.SetCanonical(cacheControlKey, noStore)
	}
	// The body is shared and stays as it is: the response only reads it.
	response.SetBodyRaw(content.Body)
	return age
}
