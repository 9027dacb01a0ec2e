package plainlog

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Record is something to be logged, attribute by attribute. It belongs to one
// goroutine, from Begin to End.
type Record struct {
	line []byte   // so far, if it is for a Handler
	own  *Handler // nil if it is for another one, which needs the following

	other   slog.Handler
	at      time.Time
	level   slog.Level
	message string
	attrs   []slog.Attr
}

var records = sync.Pool{New: func() any { return new(Record) }}

// Begin begins a record for h, which need not be a Handler. It is not asked whether h
// is enabled for the level.
func Begin(h slog.Handler, at time.Time, level slog.Level, message string) *Record {
	r := records.Get().(*Record)
	own, ok := h.(*Handler)
	if !ok {
		r.own, r.other, r.at, r.level, r.message = nil, h, at, level, message
		return r
	}
	r.own = own
	if !at.IsZero() {
		r.line = own.appendTime(append(r.line, "time="...), at)
		r.line = append(r.line, ' ')
	}
	r.line = append(append(r.line, "level="...), level.String()...)
	r.line = appendText(append(r.line, " msg="...), message)
	return r
}

// Bytes adds a text. It does not keep value.
func (r *Record) Bytes(key string, value []byte) {
	if r.own == nil {
		r.attrs = append(r.attrs, slog.String(key, string(value)))
		return
	}
	r.line = appendText(r.appendKey(key), value)
}

// String adds a text.
func (r *Record) String(key, value string) {
	if r.own == nil {
		r.attrs = append(r.attrs, slog.String(key, value))
		return
	}
	r.line = appendText(r.appendKey(key), value)
}

// Int adds a number.
func (r *Record) Int(key string, value int) {
	if r.own == nil {
		r.attrs = append(r.attrs, slog.Int(key, value))
		return
	}
	r.line = strconv.AppendInt(r.appendKey(key), int64(value), 10)
}

// Duration adds a duration.
func (r *Record) Duration(key string, value time.Duration) {
	if r.own == nil {
		r.attrs = append(r.attrs, slog.Duration(key, value))
		return
	}
	r.line = append(r.appendKey(key), value.String()...)
}

// End logs the record, which must not be used any more. The error is that of the
// handler.
func (r *Record) End() (err error) {
	if r.own != nil {
		r.line = append(r.line, '\n')
		_, err = r.own.to.Write(r.line)
	} else {
		record := slog.NewRecord(r.at, r.level, r.message, 0) // the place in the code is not free
		record.AddAttrs(r.attrs...)
		err = r.other.Handle(context.Background(), record)
	}
	clear(r.attrs)
	*r = Record{line: r.line[:0], attrs: r.attrs[:0]}
	records.Put(r)
	return err
}

func (r *Record) appendKey(key string) []byte {
	return append(appendText(append(r.line, ' '), key), '=')
}
