package watch

import (
	"context"
	"math"
	"sync"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Due returns when a session is due; false if it is not watched.
func (w *Watcher) Due(id string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	if !known {
		return time.Time{}, false
	}
	return e.due, true
}

// AdaptiveWait is what the adaptive schedule says.
func AdaptiveWait(interval, age time.Duration) time.Duration {
	return Config{Schedule: Adaptive, Interval: interval}.gap(age)
}

// RetryAfter is how long to wait after failures of the upstream.
func RetryAfter(interval time.Duration, failures int) time.Duration {
	return retryAfter(interval, failures)
}

// PendingFor is how long a pending answer that is stored is not replaced.
const PendingFor = pendingFor

// PutInFirstForm stores the record of a session as the version did that had no pending
// answers.
func (w *Watcher) PutInFirstForm(ctx context.Context, id string) error {
	row, err := w.sessions.Get(ctx, id)
	if err != nil {
		return err
	}
	r, err := w.readRecord(row.Value)
	if err != nil {
		return err
	}
	r.pending = nil
	value, variant := r.append(nil), r.variant.AppendDurable(nil)
	value = value[:len(value)-len(variant)-1]
	value[0] = firstRecordVersion
	_, err = w.sessions.Put(ctx, id, append(value, variant...), 0)
	return err
}

// Writes counts how often the record of any session was written.
func (w *Watcher) Writes(ctx context.Context) (uint64, error) {
	rows, err := w.sessions.List(ctx, 0, 1)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Revision, nil
}

// Forget erases the record of a session, as happens a while after its end.
func (w *Watcher) Forget(ctx context.Context, id string) error { return w.sessions.Delete(ctx, id) }

// Watched counts the sessions that are watched after a start.
func (w *Watcher) Watched(ctx context.Context) (n int, err error) {
	var counting sync.Mutex
	err = w.sessions.Each(ctx, nil, func(rows []store.Record) {
		counting.Lock()
		defer counting.Unlock()
		for _, row := range rows {
			if r, err := w.readRecord(row.Value); err == nil && r.end == Watching {
				n++
			}
		}
	})
	return n, err
}

// Expires is when the record of a session goes by itself.
func (w *Watcher) Expires(ctx context.Context, id string) (time.Time, error) {
	row, err := w.sessions.Get(ctx, id)
	return row.Expires, err
}

// Rows are the records that a start reads, and TakeUp takes them up.
func (w *Watcher) Rows(ctx context.Context) ([]store.Record, error) {
	return w.sessions.List(ctx, 0, 1000)
}

// TakeUp is told that their first sights are events.
func (w *Watcher) TakeUp(rows []store.Record) { w.takeUpSome(w.first, rows, marks{0: math.MaxUint64}) }

// Item is what a version with a queue of watches had there.
func (w *Watcher) Item(v *session.Variant) []byte {
	return newRecord(v, session.Unknown, time.Now()).append(nil)
}

// Settled reports whether nothing is left to be made durable, nor to be taken up.
func (w *Watcher) Settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.live {
		if e.queued || e.settling != nil || e.dirty || len(e.owed) > 0 {
			return false
		}
	}
	return len(w.takeUps) == 0
}
