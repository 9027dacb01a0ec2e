package event

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pollbridge/store"
)

// ErrCursor is for cursors that no call has returned.
var ErrCursor = errors.New("event: not a cursor")

// GoneError is for cursors after which a reader may have missed events: of another store, of
// one that was restored from a backup since, or older than what is kept.
type GoneError struct {
	Oldest string // the cursor that all events follow which are kept
}

// Error says what a reader can do.
func (e *GoneError) Error() string {
	return "event: events after this cursor may be missing: go on from the oldest one"
}

// position is what a cursor says. at is about when the event there was recorded, or when
// there was none yet, by the servers' clock; zero if that is not known.
type position struct {
	sequence uint64
	at       time.Time
	foreign  bool
}

// CursorOf returns the cursor that events after e follow.
func (l *Log) CursorOf(e *Event) string { return l.cursor(e.Position, e.Recorded) }

// Latest returns the cursor that events from now on follow.
func (l *Log) Latest(ctx context.Context) (string, error) {
	newest, err := l.Newest(ctx)
	return l.cursor(newest, l.store.Now()), err
}

func (l *Log) cursor(sequence uint64, at time.Time) string {
	return fmt.Sprintf("%s-%s-%s", l.tag, strconv.FormatUint(sequence, 36), strconv.FormatInt(at.Unix(), 36))
}

// read reads a cursor. One of an earlier version is a number.
func (l *Log) read(cursor string) (p position, err error) {
	if sequence, err := strconv.ParseUint(cursor, 10, 63); err == nil {
		return position{sequence: sequence}, nil
	}
	parts := strings.Split(cursor, "-")
	if len(parts) != 3 {
		return p, ErrCursor
	}
	sequence, err1 := strconv.ParseUint(parts[1], 36, 63)
	seconds, err2 := strconv.ParseInt(parts[2], 36, 63)
	if err1 != nil || err2 != nil {
		return p, ErrCursor
	}
	return position{sequence, time.Unix(seconds, 0), parts[0] != l.tag}, nil
}

// begin returns where a reader with that cursor goes on, and whether there is something.
func (l *Log) begin(ctx context.Context, cursor string) (sequence uint64, more bool, err error) {
	newest, oldest, err := l.journal.Bounds(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("event: reading events: %w", err)
	}
	if cursor == "" {
		return 0, newest > 0, nil
	}
	p, err := l.read(cursor)
	if err != nil {
		return 0, false, err
	}
	if p.sequence > newest && !p.foreign {
		if newest, err = l.Reach(ctx, p.sequence); err != nil && !errors.Is(err, store.ErrBehind) {
			return 0, false, err
		}
	}
	// What was erased leaves a gap, too, but before the time of its events is over.
	missed := p.sequence+1 < oldest && l.store.Now().Sub(p.at) > l.history
	if p.foreign || p.sequence > newest || missed {
		return 0, false, &GoneError{l.cursor(oldest-1, l.store.Now())}
	}
	if another, err := l.isAnother(ctx, p); err != nil || another {
		return 0, false, cmp.Or(err, error(&GoneError{l.cursor(oldest-1, l.store.Now())}))
	}
	return p.sequence, p.sequence < newest, nil
}

// isAnother reports whether the event at a position is not the one that a cursor was made of:
// it was recorded after that, in a log that was restored from a backup.
func (l *Log) isAnother(ctx context.Context, p position) (bool, error) {
	if p.at.IsZero() || p.sequence == 0 {
		return false, nil
	}
	entry, err := l.journal.Get(ctx, p.sequence)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		return false, nil
	}
	return entry.At.After(p.at.Add(2 * time.Second)), err // a cursor has whole seconds
}
