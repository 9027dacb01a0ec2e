package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/gofiber/fiber/v2"
)

// logAccess writes a line for a request, after errors became an answer. Polls that
// bring nothing new are written at level debug only: there are many, and metrics
// count them.
func (s *Server) logAccess(c *fiber.Ctx, to target, came outcome, span *tracing.Span) {
	level := slog.LevelInfo
	switch {
	case c.Response().StatusCode() >= 500:
		level = slog.LevelWarn
	case came.how == cache.Hit, came.how != 0 && came.state == session.Pending:
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if !s.options.Log.Enabled(ctx, level) {
		return
	}
	attributes := append(make([]slog.Attr, 0, 10),
		slog.String("id", string(c.Response().Header.PeekBytes(requestIDKey))),
		slog.String("method", string(c.Request().Header.Method())),
		slog.String("path", s.masked(to.path)),
		slog.Int("status", c.Response().StatusCode()),
		slog.Duration("took", time.Since(c.Context().Time())),
		slog.String("client", s.trusted.Client(c).String()),
	)
	if came.how != 0 {
		attributes = append(attributes, slog.String("answered", came.how.String()), slog.String("state", came.state.String()))
	}
	if span.Context().Sampled() {
		attributes = append(attributes, slog.String("trace_id", span.Context().TraceID()))
	}
	if err := came.err; err != nil {
		if public, ok := errors.AsType[*publicError](err); ok && public.cause != nil {
			err = public.cause
		}
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	s.options.Log.LogAttrs(ctx, level, "request", attributes...)
}

// shortest is the number of bytes that may be shown of anything.
const shortest = 8

// longestShown is the number of bytes of a path of which something is shown.
const longestShown = 256

// masked is a path in which whatever could be a token is cut to the part that may be
// shown: every long segment that no endpoint's path has.
func (s *Server) masked(path []byte) string {
	segments := bytes.Split(path[:min(len(path), longestShown)], []byte("/"))
	for i, segment := range segments {
		segments[i] = s.maskedSegment(segment)
	}
	return string(bytes.Join(segments, []byte("/")))
}

func (s *Server) maskedSegment(segment []byte) []byte {
	name, isJSON := bytes.CutSuffix(segment, []byte(".json"))
	if len(name) <= shortest || s.options.Table.Names(name) {
		return segment
	}
	shown := slices.Concat(session.ShortToken(name), []byte("…"))
	if isJSON {
		shown = append(shown, ".json"...)
	}
	return shown
}
