package store

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// The engine reads a stream forwards only, so a listing that starts with the newest
// reads a window at its end, then one before that, and so on. How depends on how much
// was found in the one before:
//   - where much matches, all of a window is read, which costs one request;
//   - where little does, the engine is asked for one match after the other, which
//     costs it little however many others there are, and windows become wider.
const (
	firstWindow = 256
	widest      = 1 << 18
	dense       = 8 // one match in so many records is much
)

// List returns up to limit records whose key matches, the ones that changed last
// first, all of a revision lower than before if that is not 0. To go on, pass the
// revision of the last record. match is a key in which * stands for one token and a >
// at the end for all further ones. A record that cannot be decrypted is logged and
// left out.
func (t *Table) List(ctx context.Context, match string, before uint64, limit int) ([]Record, error) {
	if err := checkMatch(match); err != nil {
		return nil, err
	}
	newest, oldest, err := t.s.bounds(ctx, t.stream)
	if err != nil {
		return nil, err
	}
	if before > 0 {
		newest = min(newest, before-1)
	}
	l := listing{t: t, match: match, dense: true}
	var records []Record
	for window := uint64(min(max(limit, firstWindow/4), firstWindow)); newest >= oldest && newest > 0 && len(records) < limit; {
		from := oldest
		if newest-oldest >= window {
			from = newest - window + 1
		}
		missing := limit - len(records)
		found, err := l.window(ctx, from, newest, 2*missing+firstWindow)
		if errors.Is(err, errMuch) { // costs no more than it would have to read them
			window = max(firstWindow, window/16)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if record, ok := t.readable(m); ok && len(records) < limit {
				records = append(records, record)
			}
		}
		l.dense = uint64(len(found)) >= (newest-from+1)/dense
		if len(found) < missing/2+1 && !l.dense {
			window = min(2*window, widest)
		}
		newest = from - 1
	}
	return records, nil
}

// listing is how a table is listed.
type listing struct {
	t     *Table
	match string
	dense bool // so the next window is read as a whole
}

var errMuch = errors.New("store: more records than expected")

// window returns what matches between two sequences, the newest first. Where there is
// more than most the error may be errMuch, unless the window is as narrow as the first.
func (l *listing) window(ctx context.Context, from, to uint64, most int) ([]*message, error) {
	read := l.each
	if l.dense && to-from < firstWindow {
		read = l.all
	}
	var found []*message
	err := read(ctx, from, to, func(m *message) bool {
		if !m.gone() {
			found = append(found, m)
		}
		return len(found) <= most
	})
	if len(found) > most {
		return nil, errMuch
	}
	slices.Reverse(found)
	return found, err
}

// all reads all messages of a window and picks those that match.
func (l *listing) all(ctx context.Context, from, to uint64, f func(*message) bool) error {
	return l.t.s.scan(ctx, l.t.id, "", from, int(to-from+1), func(m *message) bool {
		if m.sequence > to {
			return false
		}
		return !matches(l.match, m.subject[len(l.t.prefix):]) || f(m)
	})
}

// each asks for one match after the other.
func (l *listing) each(ctx context.Context, from, to uint64, f func(*message) bool) error {
	for from <= to {
		m, err := l.t.s.get(ctx, l.t.id, getRequest{Sequence: from, NextFor: l.t.prefix + l.match})
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if m.sequence > to || !f(m) {
			return nil
		}
		from = m.sequence + 1
	}
	return nil
}

// matches reports whether a key matches.
func matches(match, key string) bool {
	for {
		want, furtherMatch, more := strings.Cut(match, ".")
		token, furtherKey, longer := strings.Cut(key, ".")
		switch {
		case want == ">":
			return true
		case want != "*" && want != token, more != longer:
			return false
		case !more:
			return true
		}
		match, key = furtherMatch, furtherKey
	}
}

// readable returns the record of a message, or logs why it cannot be read.
func (t *Table) readable(m *message) (Record, bool) {
	record, err := t.record(m)
	if err != nil {
		t.s.log.Error("record cannot be decrypted, skipping it", "table", t.name, "key", record.Key, "error", err)
	}
	return record, err == nil
}
