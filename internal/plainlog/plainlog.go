// Package plainlog writes what slog's text handler would write, byte for byte. What is
// given to it by Log, such as the lines of an access log, costs a third of that.
package plainlog

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler is slog's text handler, with an entrance of its own for Log. Create it with
// New.
type Handler struct {
	slog.Handler
	out *output
}

// output is where lines of both entrances are written, one after the other.
type output struct {
	mu   sync.Mutex
	to   io.Writer // guarded by mu, like all below
	line []byte    // memory for the next one

	second int64 // Unix, for which the following is
	zone   *time.Location
	moment []byte // as text, without the fraction of the second
	offset []byte // as text, from UTC
}

// New returns a handler for records from level on. A line is one call of to.Write.
func New(to io.Writer, level slog.Leveler) *Handler {
	out := &output{to: to}
	return &Handler{slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}), out}
}

// Write writes a line of slog's handler.
func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(line)
}

// Log gives a record to a handler, without the place in the code, which is not free.
// For a Handler it need not be made.
func Log(h slog.Handler, at time.Time, level slog.Level, message string, attrs ...slog.Attr) error {
	if own, ok := h.(*Handler); ok {
		if written, err := own.out.ordinary(at, level, message, attrs); written {
			return err
		}
	}
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	return h.Handle(context.Background(), r)
}

// ordinary writes a line, if it is one whose text is known without a doubt.
func (o *output) ordinary(at time.Time, level slog.Level, message string, attrs []slog.Attr) (written bool, err error) {
	if at.IsZero() || !plain(message) {
		return false, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	line := append(o.line[:0], "time="...)
	line = o.appendTime(line, at)
	line = append(append(line, " level="...), level.String()...)
	line = append(append(line, " msg="...), message...)
	for i := range attrs {
		if line, written = appendAttr(line, &attrs[i]); !written {
			return false, nil
		}
	}
	o.line = append(line, '\n')
	_, err = o.to.Write(o.line)
	return true, err
}

// appendTime appends a time with its milliseconds. Most of it is what it was for the
// line before.
func (o *output) appendTime(line []byte, t time.Time) []byte {
	if second, zone := t.Unix(), t.Location(); second != o.second || zone != o.zone || o.moment == nil {
		o.second, o.zone = second, zone
		o.moment = t.AppendFormat(o.moment[:0], "2006-01-02T15:04:05.")
		o.offset = t.AppendFormat(o.offset[:0], "Z07:00")
	}
	milliseconds := byte(t.Nanosecond() / 1e6 % 10)
	hundredths := byte(t.Nanosecond() / 1e7)
	line = append(append(line, o.moment...), '0'+hundredths/10, '0'+hundredths%10, '0'+milliseconds)
	return append(line, o.offset...)
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
