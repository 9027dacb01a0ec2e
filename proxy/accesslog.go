package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/plainlog"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
)

// logAccess writes a line for a request, after errors became an answer. Polls that
// bring nothing new are written at level debug only: there are many, and metrics
// count them.
func (s *Server) logAccess(c *fiber.Ctx, came outcome) {
	level := slog.LevelInfo
	switch {
	case c.Response().StatusCode() >= 500:
		level = slog.LevelWarn
	case came.how == cache.Hit, came.how != 0 && came.state == session.Pending:
		level = slog.LevelDebug
	}
	if !s.log.Enabled(context.Background(), level) {
		return
	}
	now := time.Now()
	line := plainlog.Begin(s.log.Handler(), now, level, "request")
	line.Bytes("id", c.Response().Header.PeekBytes(requestIDKey))
	line.String("method", methodName(c.Request().Header.Method()))
	var buffer [longestShown + longestShown/4]byte
	line.Bytes("path", s.appendMasked(buffer[:0], c.Request().Header.RequestURI()))
	line.Int("status", c.Response().StatusCode())
	line.Duration("took", now.Sub(c.Context().Time()))
	line.String("client", s.clientAddress(c))
	if came.how != 0 {
		line.String("answered", came.how.String())
		line.String("state", came.state.String())
	}
	if came.err != nil {
		err := came.err
		if public, ok := errors.AsType[*publicError](err); ok && public.cause != nil {
			err = public.cause
		}
		line.String("error", err.Error())
	}
	_ = line.End()
}

// shortest is the number of bytes that may be shown of anything.
const shortest = 8

// longestShown is the number of bytes of a path of which something is shown.
const longestShown = 256

// appendMasked appends the path of a target, in which whatever could be a token is cut
// to the part that may be shown: every long segment that no endpoint's path has.
func (s *Server) appendMasked(shown, target []byte) []byte {
	path, _ := session.SplitTarget(target)
	path = path[:min(len(path), longestShown)]
	for {
		segment, rest, more := bytes.Cut(path, []byte("/"))
		shown = s.appendSegment(shown, segment)
		if !more {
			return shown
		}
		shown = append(shown, '/')
		path = rest
	}
}

func (s *Server) appendSegment(shown, segment []byte) []byte {
	name, isJSON := bytes.CutSuffix(segment, []byte(".json"))
	if len(name) <= shortest || s.table.Names(name) {
		return append(shown, segment...)
	}
	shown = append(append(shown, session.ShortToken(name)...), "…"...)
	if isJSON {
		shown = append(shown, ".json"...)
	}
	return shown
}
