package proxy

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/socket"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// visit is the memory that one status request needs; it is used again by the next.
type visit struct {
	request session.Request
	body    []byte
	scratch []byte
}

// status answers a request that matched an endpoint, unless it turns out to be no
// status request: then it passes through.
func (s *Server) status(c *fiber.Ctx, h head, match session.Match, query []byte) (outcome, error) {
	v := s.visits.Get().(*visit)
	defer s.visits.Put(v)
	if err := v.readBody(c.Request()); err != nil {
		return outcome{}, err
	}
	if h.contentEncoding || len(v.body) > session.MaxBody || !v.request.Read(match, v.incoming(c, h, match.Endpoint, query)) {
		if h.webhook {
			return outcome{}, errHookless
		}
		return outcome{}, s.forward(c, bytes.Clone(v.body), nil)
	}
	var wait time.Duration
	if h.prefer {
		wait = waitPreference(&c.Request().Header)
	}
	if h.webhook {
		return s.hooked(c, v, wait)
	}
	result, fresh := s.statuses.Fresh(v.request.Key(), v.request.Locale())
	if !fresh || wait > 0 && result.State == session.Pending {
		return s.ask(c, v, wait)
	}
	return s.answer(c, v, result, wait), nil
}

func (v *visit) incoming(c *fiber.Ctx, h head, endpoint *session.Endpoint, query []byte) session.Incoming {
	in := session.Incoming{Query: query, Body: v.body}
	if h.authorization || endpoint.Credential.In == session.InHeader {
		in.Header = &c.Request().Header
	}
	return in
}

// readBody reads what is needed to know whether this is a status request: the whole
// body, or a byte more than one may have.
func (v *visit) readBody(request *fasthttp.Request) error {
	v.body = v.body[:0]
	stream := request.BodyStream()
	if stream == nil {
		v.body = append(v.body, request.Body()...)
		return nil
	}
	for len(v.body) <= session.MaxBody {
		if len(v.body) == cap(v.body) {
			v.body = append(v.body, make([]byte, max(512, cap(v.body)))...)[:len(v.body)]
		}
		n, err := stream.Read(v.body[len(v.body):cap(v.body)])
		v.body = v.body[:len(v.body)+n]
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
func (s *Server) ask(c *fiber.Ctx, v *visit, wait time.Duration) (outcome, error) {
	variant := v.request.Variant()
	var result cache.Result
	var err error
	if wait > 0 {
		result, err = s.hold(c, variant, wait)
	} else {
		result, err = s.statuses.Get(s.serving, variant)
	}
	if err != nil {
		s.metrics.countError(variant.Endpoint)
		return outcome{}, err
	}
	return s.answer(c, v, result, wait), nil
}

var (
	cacheStatusKey       = []byte("Cache-Status")
	ageKey               = []byte("Age")
	preferenceAppliedKey = []byte("Preference-Applied")
)

// sendPages lets a large body be sent without a copy, where that can be.
func (s *Server) sendPages(c *fiber.Ctx, content *session.Content) {
	conn, ok := c.Context().Conn().(*patientConn)
	if !ok { // with TLS, all of it has to be encrypted
		return
	}
	if _, ok := conn.Conn.(*socket.Conn); !ok {
		return
	}
	if file := s.pages.of(content); file != nil {
		conn.writeNext(content.Body, file)
	}
}

// answer writes an observation out.
func (s *Server) answer(c *fiber.Ctx, v *visit, result cache.Result, wait time.Duration) outcome {
	s.metrics.countResult(v.request.Endpoint(), result.How)
	response := c.Response()
	header := &response.Header
	response.SetStatusCode(result.Status)
	header.SetNoDefaultContentType(true)
	for _, field := range result.Header {
		header.AddBytesKV(field.Name, field.Value)
	}
	// After the lines of caches that are nearer to the origin.
	v.scratch = appendCacheStatus(v.scratch[:0], result)
	header.AddBytesKV(cacheStatusKey, v.scratch)
	v.scratch = strconv.AppendInt(v.scratch[:0], int64(result.Age(result.Made)/time.Second), 10)
	header.SetCanonical(ageKey, v.scratch)
	if wait > 0 {
		v.scratch = strconv.AppendInt(append(v.scratch[:0], "wait="...), int64(wait/time.Second), 10)
		header.SetCanonical(preferenceAppliedKey, v.scratch)
	}
	// The body is shared and stays as it is: the response only reads it.
	response.SetBodyRaw(result.Body)
	if len(result.Body) >= largeBody {
		s.sendPages(c, result.Content)
	}
	return outcome{how: result.How, state: result.State, err: result.Err}
}
