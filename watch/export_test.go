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

// Since is from when on a session waits for its next poll.
func (w *Watcher) Since(id string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live[id].since
}

// Workers is how many polls may be under way.
const Workers = workers

// Out counts the sessions that a worker has, or that wait for one.
func (w *Watcher) Out() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.live {
		if e.out {
			n++
		}
	}
	return n
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
	for t := range w.takeUps {
		if !t.ends {
			return false
		}
	}
	return true
}

// LateEnds has late ends be looked for when wait has returned.
func (w *Watcher) LateEnds(wait func()) {
	w.awaitLate = func() bool { wait(); return true }
}

// AllTakenUp reports whether they were.
func (w *Watcher) AllTakenUp() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.takeUps) == 0
}

// Ended is told of a session that was pending until an age and over at another; 0: that was not seen.
func (s *Schedule) Ended(v *session.Variant, pending, over time.Duration) {
	began := time.Now()
	seen := seenTimes{began: began, pending: began.Add(pending)}
	if over > 0 {
		seen.over = began.Add(over)
	}
	s.ended(v, sighted, seen)
}

// EndedSinceStart is Ended for a session whose start was seen.
func (s *Schedule) EndedSinceStart(v *session.Variant, pending, over time.Duration) {
	began := time.Now()
	s.ended(v, started, seenTimes{began, began.Add(pending), began.Add(over)})
}

// Form is what was learnt as it is stored.
func (s *Schedule) Form() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendLearnt(nil)
}

// StoredLongAgo has what was learnt be stored last so long ago that it has to be again.
func (s *Schedule) StoredLongAgo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = s.stored.Add(-renewAfter)
}

// Revision is that of what is stored.
func (s *Schedule) Revision() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Gap is how long after a poll at some age the next one is due, about.
func (s *Schedule) Gap(v *session.Variant, age time.Duration, waited bool) time.Duration {
	return s.gap(v, sighted, age, time.UnixMicro(504), waited)
}

// Learnt returns from how many sessions was learnt, here and elsewhere.
func (s *Schedule) Learnt(v *session.Variant) (here, others float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for origin := range origins {
		l := s.learners[learnt{v.Endpoint.Name, origin}]
		here += l.here.Sessions()
		others += l.others.Sessions()
	}
	return here, others
}

// Exchange stores what was learnt and learns what others have.
func (s *Schedule) Exchange(ctx context.Context) {
	s.learning.Lock()
	defer s.learning.Unlock()
	s.exchangeLocked(ctx)
}

func (s *Schedule) exchangeLocked(ctx context.Context) {
	s.keep(ctx)
	s.exchange(ctx)
	s.fit()
}

// Fit makes curves of what was learnt.
func (s *Schedule) Fit() {
	s.learning.Lock()
	defer s.learning.Unlock()
	s.fit()
}

// TakeOver takes what all others have learnt for that of replicas which have gone.
func (s *Schedule) TakeOver(ctx context.Context) {
	s.learning.Lock()
	defer s.learning.Unlock()
	s.gone = 0
	s.exchangeLocked(ctx)
	s.gone = goneAfter
}

// ForgetStored has the store hold something else for a replica.
func (s *Schedule) ForgetStored(ctx context.Context, replica string, value []byte) error {
	_, err := s.learnt.Put(ctx, replica, value, 0)
	return err
}

// MostBetween is how many sessions are remembered for which no request is held here.
const MostBetween = mostBetween

// Kept counts the sessions that are remembered, held or not.
func (l *LongPolls) Kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// Recount is what States says, counted anew.
func (w *Watcher) Recount() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[string]int{}
	for _, e := range w.live {
		if e.variant != nil {
			counts[Session{State: e.state, End: e.end}.Status()]++
		}
	}
	return counts
}
