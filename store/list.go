package store

import (
	"context"
	"slices"
)

// The engine reads a stream forwards only, so a listing that starts with the newest
// reads a window at its end, then one before that, and so on. Windows in which little
// was found are followed by wider ones.
const (
	firstWindow = 256
	widest      = 1 << 18
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
	var records []Record
	for window := uint64(firstWindow); newest >= oldest && newest > 0 && len(records) < limit; {
		from := oldest
		if newest-oldest >= window {
			from = newest - window + 1
		}
		missing := limit - len(records)
		found, err := t.newest(ctx, match, from, newest, missing)
		if err != nil {
			return nil, err
		}
		records = append(records, found...)
		if len(found) < missing/2+1 && window < widest {
			window *= 2
		}
		newest = from - 1
	}
	return records, nil
}

// newest returns the last records between two revisions, at most limit, the ones
// that changed last first.
func (t *Table) newest(ctx context.Context, match string, from, to uint64, limit int) ([]Record, error) {
	var messages []*message // a ring, once there are enough
	next := 0
	err := t.s.scan(ctx, t.id, t.prefix+match, from, int(to-from+1), func(m *message) bool {
		switch {
		case m.sequence > to:
			return false
		case m.gone():
		case len(messages) < limit:
			messages = append(messages, m)
		default:
			messages[next] = m
			next = (next + 1) % limit
		}
		return m.sequence < to
	})
	if err != nil {
		return nil, err
	}
	messages = append(messages[next:len(messages):len(messages)], messages[:next]...)
	slices.Reverse(messages)
	records := make([]Record, 0, len(messages))
	for _, m := range messages {
		if record, ok := t.readable(m); ok {
			records = append(records, record)
		}
	}
	return records, nil
}

// readable returns the record of a message, or logs why it cannot be read.
func (t *Table) readable(m *message) (Record, bool) {
	record, err := t.record(m)
	if err != nil {
		t.s.log.Error("A record cannot be decrypted and is left out", "table", t.name, "key", record.Key, "error", err)
	}
	return record, err == nil
}
