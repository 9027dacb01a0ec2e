package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
)

// What handlers note about a request, for its line in the log.
const (
	noteHow   = "pollbridge.how"
	noteState = "pollbridge.state"
	noteErr   = "pollbridge.error"
)

func noteResult(c *fiber.Ctx, result cache.Result) {
	c.Context().SetUserValue(noteHow, result.How)
	c.Context().SetUserValue(noteState, result.State)
}

func noteError(c *fiber.Ctx, err error) { c.Context().SetUserValue(noteErr, err) }

// logAccess writes a line for each request, after errors became an answer. Polls
// that bring nothing new are written at level debug only: there are many, and
// metrics count them.
func (s *Server) logAccess(c *fiber.Ctx) error {
	if err := c.Next(); err != nil {
		if err := s.handleError(c, err); err != nil {
			return err
		}
	}
	how, isStatus := c.Context().UserValue(noteHow).(cache.How)
	state, _ := c.Context().UserValue(noteState).(session.State)
	level := slog.LevelInfo
	switch {
	case c.Response().StatusCode() >= 500:
		level = slog.LevelWarn
	case isStatus && (how == cache.Hit || state == session.Pending):
		level = slog.LevelDebug
	}
	if !s.log.Enabled(context.Background(), level) {
		return nil
	}
	attributes := []slog.Attr{
		slog.String("id", requestID(c)),
		slog.String("method", string(c.Request().Header.Method())),
		slog.String("path", maskedPath(c.Request().RequestURI())),
		slog.Int("status", c.Response().StatusCode()),
		slog.Duration("took", time.Since(c.Context().Time())),
		slog.String("client", s.clientAddress(c)),
	}
	if isStatus {
		attributes = append(attributes, slog.String("answered", how.String()), slog.String("state", state.String()))
	}
	if err, ok := c.Context().UserValue(noteErr).(error); ok {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	s.log.LogAttrs(context.Background(), level, "request", attributes...)
	return nil
}

// maskedPath is a path without its query, in which whatever could be a token is cut
// to the part that may be shown.
func maskedPath(target []byte) string {
	path, _ := session.SplitTarget(target)
	const longest = 256
	segments := strings.Split(string(path[:min(len(path), longest)]), "/")
	for i, segment := range segments {
		name, extension := segment, ""
		if dot := strings.LastIndexByte(segment, '.'); dot > 0 && len(segment)-dot <= len(".json") {
			name, extension = segment[:dot], segment[dot:]
		}
		if len(name) > 16 || len(name) > 8 && strings.ContainsAny(name, "0123456789%") {
			segments[i] = session.ShortToken(name) + "…" + extension
		}
	}
	return strings.Join(segments, "/")
}

// recoverPanics turns a panic of a handler into an answer: the HTTP engine would let
// it end the process.
func (s *Server) recoverPanics(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic while answering a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic")
		}
	}()
	return c.Next()
}
