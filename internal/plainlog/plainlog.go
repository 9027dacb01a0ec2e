// Package plainlog writes what slog's text handler would write, byte for byte. What is
// given to it by Log, such as the lines of an access log, costs a third of that, and
// those who log at the same time do not wait for each other here.
package plainlog

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Handler is slog's text handler, with an entrance of its own for Log. Create it with
// New.
type Handler struct {
	slog.Handler
	to   io.Writer
	last atomic.Pointer[moment]
}

// moment is the text of a time.
type moment struct {
	second int64 // Unix
	zone   *time.Location
	text   string // without the fraction of the second
	offset string // from UTC
}

// New returns a handler for records from level on. A line is one call of to.Write,
// which must be safe for concurrent use and must not keep the line.
func New(to io.Writer, level slog.Leveler) *Handler {
	return &Handler{Handler: slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}), to: to}
}

// Log gives a record to a handler, without the place in the code, which is not free.
// For a Handler it need not be made.
func Log(h slog.Handler, at time.Time, level slog.Level, message string, attrs ...slog.Attr) error {
	if own, ok := h.(*Handler); ok {
		if written, err := own.ordinary(at, level, message, attrs); written {
			return err
		}
	}
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	return h.Handle(context.Background(), r)
}

// ordinary writes a line, if it is one whose text is known without a doubt.
func (h *Handler) ordinary(at time.Time, level slog.Level, message string, attrs []slog.Attr) (written bool, err error) {
	if at.IsZero() || !plain(message) {
		return false, nil
	}
	memory := memories.Get().(*[]byte)
	defer memories.Put(memory)
	line := append((*memory)[:0], "time="...)
	line = h.appendTime(line, at)
	line = append(append(line, " level="...), level.String()...)
	line = append(append(line, " msg="...), message...)
	for i := range attrs {
		if line, written = appendAttr(line, &attrs[i]); !written {
			return false, nil
		}
	}
	line = append(line, '\n')
	*memory = line
	_, err = h.to.Write(line)
	return true, err
}

// memories are for lines while they are made.
var memories = sync.Pool{New: func() any { return new([]byte) }}

// appendTime appends a time with its milliseconds. Most of it is what it was for the
// line before.
func (h *Handler) appendTime(line []byte, t time.Time) []byte {
	last := h.last.Load()
	if second, zone := t.Unix(), t.Location(); last == nil || second != last.second || zone != last.zone {
		last = &moment{second, zone, t.Format("2006-01-02T15:04:05."), t.Format("Z07:00")}
		h.last.Store(last)
	}
	milliseconds := byte(t.Nanosecond() / 1e6 % 10)
	hundredths := byte(t.Nanosecond() / 1e7)
	line = append(append(line, last.text...), '0'+hundredths/10, '0'+hundredths%10, '0'+milliseconds)
	return append(line, last.offset...)
}

func appendAttr(line []byte, a *slog.Attr) (longer []byte, ok bool) {
	if !plain(a.Key) {
		return line, false
	}
	line = append(append(append(line, ' '), a.Key...), '=')
	switch a.Value.Kind() {
	case slog.KindString:
		text := a.Value.String()
		return append(line, text...), plain(text)
	case slog.KindInt64:
		return strconv.AppendInt(line, a.Value.Int64(), 10), true
	case slog.KindDuration:
		return append(line, a.Value.Duration().String()...), true
	}
	return line, false
}

// plain reports whether a text certainly needs no quotes.
func plain(text string) bool {
	for i := 0; i < len(text); i++ {
		if isPlain[text[i]] {
			continue
		}
		if !strings.HasPrefix(text[i:], ellipsis) {
			return false
		}
		i += len(ellipsis) - 1
	}
	return text != ""
}

// ellipsis stands where a text was cut.
const ellipsis = "…"

var isPlain = func() (table [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		table[c] = c != '"' && c != '=' && c != '\\'
	}
	return table
}()
