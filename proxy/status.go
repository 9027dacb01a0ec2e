package proxy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"pollbridge/cache"
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
func (s *Server) status(c *fiber.Ctx, match session.Match, query []byte) error {
	v := s.visits.Get().(*visit)
	defer s.visits.Put(v)
	if err := v.readBody(c.Request()); err != nil {
		return err
	}
	if len(c.Request().Header.Peek(fasthttp.HeaderContentEncoding)) > 0 || len(v.body) > session.MaxBody ||
		!v.request.Read(match, session.Incoming{Query: query, Body: v.body, Header: &c.Request().Header}) {
		return s.forward(c, bytes.Clone(v.body))
	}
	wait, hold := waitPreference(&c.Request().Header)
	result, fresh := s.statuses.Fresh(v.request.Key(), v.request.Locale())
	if !fresh || hold && result.State == session.Pending {
		return s.ask(c, v, wait)
	}
	s.answer(c, v, result)
	if hold {
		preferenceApplied(c, wait)
	}
	return nil
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
			return errBrokenBody
		}
	}
	return nil
}

// ask answers what memory could not: it waits for the upstream, and if the client
// prefers so, for the state to change.
func (s *Server) ask(c *fiber.Ctx, v *visit, wait time.Duration) error {
	variant := v.request.Variant()
	result, err := s.current(c, variant, wait)
	switch {
	case errors.Is(err, errClientGone):
		c.Context().SetConnectionClose()
		return nil
	case err != nil:
		s.metrics.countError(variant.Endpoint)
		return err
	}
	s.answer(c, v, result)
	if wait > 0 {
		preferenceApplied(c, wait)
	}
	return nil
}

func (s *Server) current(c *fiber.Ctx, variant *session.Variant, wait time.Duration) (cache.Result, error) {
	if wait == 0 {
		return s.statuses.Get(s.serving, variant)
	}
	return s.hold(c, variant, wait)
}

// answer writes an observation out.
func (s *Server) answer(c *fiber.Ctx, v *visit, result cache.Result) {
	s.metrics.countResult(v.request.Endpoint(), result.How)
	response := c.Response()
	response.SetStatusCode(result.Status)
	response.Header.SetNoDefaultContentType(true)
	for _, field := range result.Header {
		response.Header.Add(field.Name, field.Value)
	}
	v.scratch = appendCacheStatus(v.scratch[:0], result)
	response.Header.AddBytesV(headerCacheStatus, v.scratch)
	v.scratch = strconv.AppendInt(v.scratch[:0], int64(result.Age(time.Now())/time.Second), 10)
	response.Header.AddBytesV(fasthttp.HeaderAge, v.scratch)
	// The body is shared and stays as it is: the response only reads it.
	response.SetBodyRaw(result.Body)
	noteResult(c, result)
}
