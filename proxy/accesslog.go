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
	line := append(make([]slog.Attr, 0, 9),
		slog.String("id", requestID(c)),
		slog.String("method", methodName(c.Request().Header.Method())),
		slog.String("path", s.maskedPath(c.Request().Header.RequestURI())),
		slog.Int("status", c.Response().StatusCode()),
		slog.Duration("took", now.Sub(c.Context().Time())),
		slog.String("client", s.clientAddress(c)),
	)
	if came.how != 0 {
		line = append(line, slog.String("answered", came.how.String()), slog.String("state", came.state.String()))
	}
	if came.err != nil {
		err := came.err
		if public, ok := errors.AsType[*publicError](err); ok && public.cause != nil {
			err = public.cause
		}
		line = append(line, slog.String("error", err.Error()))
	}
	_ = plainlog.Log(s.log.Handler(), now, level, "request", line...)
}

// shortest is the number of bytes that may be shown of anything.
const shortest = 8

// maskedPath is a path without its query, in which whatever could be a token is cut
// to the part that may be shown: every long segment that no endpoint's path has.
func (s *Server) maskedPath(target []byte) string {
	path, _ := session.SplitTarget(target)
	const longest = 256
	path = path[:min(len(path), longest)]
	var buffer [longest + longest/4]byte
	shown := buffer[:0]
	for {
		segment, rest, more := bytes.Cut(path, []byte("/"))
		shown = s.appendMasked(shown, segment)
		if !more {
			return string(shown)
		}
		shown = append(shown, '/')
		path = rest
	}
}

func (s *Server) appendMasked(shown, segment []byte) []byte {
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
