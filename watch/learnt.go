package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"pollbridge/store"
	"pollbridge/watch/hazard"
)

// What each replica has learnt is one record of its own, which it writes now and then and the
// others add to what they know. There is nothing to agree upon: counts add up in any order. That
// of a replica which has gone is taken over by whoever notices first.

const (
	// exchangeAfter is how often what was learnt is stored, and what others have is read.
	exchangeAfter = time.Minute
	// renewAfter is how often it is stored at least, and goneAfter when a replica has gone that
	// has not done so.
	renewAfter = 15 * time.Minute
	goneAfter  = time.Hour
	// mostReplicas is of how many others is learnt.
	mostReplicas = 10_000
)

// alone is what a process without a fleet is called.
const alone = "alone"

func (s *Schedule) name() string {
	if s.options.Replica == "" {
		return alone
	}
	return s.options.Replica
}

// recall reads what is known at the start.
func (s *Schedule) recall(ctx context.Context) error {
	rows, err := s.learnt.List(ctx, ">", 0, mostReplicas)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Key == s.name() {
			s.add(s.read(row), false)
			s.revision = row.Revision
		}
	}
	s.stored = time.Now()
	s.join(ctx, rows)
	return nil
}

// exchange learns what others have, and returns how many there are.
func (s *Schedule) exchange(ctx context.Context) int {
	if s.learnt == nil || s.options.Replica == "" {
		return 0
	}
	rows, err := s.learnt.List(ctx, ">", 0, mostReplicas)
	if err != nil {
		return 0 // the store says so itself
	}
	s.join(ctx, rows)
	return len(rows)
}

// join puts what others have learnt in the place of what was known of that.
func (s *Schedule) join(ctx context.Context, rows []store.Record) {
	s.mu.Lock()
	for _, l := range s.learners {
		l.others = hazard.Counts{}
	}
	s.mu.Unlock()
	for _, row := range rows {
		if row.Key == s.name() {
			continue
		}
		gone := s.options.Store.Now().Sub(row.At) > s.gone && s.learnt.DeleteIf(ctx, row.Key, row.Revision) == nil
		s.add(s.read(row), !gone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.learners {
		l.here.Advance(l.here.Sessions() + l.others.Sessions())
		l.news = true
	}
}

// add adds what was learnt elsewhere, or before.
func (s *Schedule) add(counts map[learnt]*hazard.Counts, elsewhere bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, c := range counts {
		switch l := s.learners[what]; {
		case l == nil: // the endpoint is not configured any more
		case elsewhere:
			l.others.Merge(c)
		default:
			l.here.Merge(c)
			l.news, s.news = true, true
		}
	}
}

// keep stores what was learnt here, if there is anything new.
func (s *Schedule) keep(ctx context.Context) {
	if s.learnt == nil {
		return
	}
	s.mu.Lock()
	if !s.news && (s.options.Replica == "" || time.Since(s.stored) < renewAfter) {
		s.mu.Unlock()
		return
	}
	value, revision := s.appendLearnt(nil), s.revision
	s.news = false
	s.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, mostOfStep)
	defer cancel()
	revision, err := s.put(bounded, value, revision)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision = revision
	if err != nil {
		s.news = true // once more
		return
	}
	s.stored = time.Now()
}

var errElsewhereNow = errors.New("watch: what was stored is not what was stored last")

// put stores what was learnt in the place of what was stored before, and returns the revision of what
// is stored then. Where that is not there any more, others have taken it over, as this replica gave no
// sign of life for so long: they count it, so it is forgotten here.
func (s *Schedule) put(ctx context.Context, value []byte, before uint64) (revision uint64, err error) {
	if before == 0 {
		revision, err = s.learnt.Create(ctx, s.name(), value, 0)
	} else {
		revision, err = s.learnt.Update(ctx, s.name(), value, before, 0)
	}
	switch {
	case err == nil:
		return revision, nil
	case !errors.Is(err, store.ErrConflict):
		return before, err
	}
	row, err := s.learnt.Get(ctx, s.name())
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.forget()
		return 0, errElsewhereNow
	case err != nil:
		return before, err
	}
	return row.Revision, errElsewhereNow // a write that seemed to fail
}

// forget forgets what was learnt here.
func (s *Schedule) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.learners {
		l.here, l.news = hazard.Counts{}, true
	}
}

// learntVersion is the form of what is stored.
const learntVersion = 1

var errLearnt = errors.New("watch: this is nothing that was learnt by this version")

// appendLearnt needs the lock.
func (s *Schedule) appendLearnt(dst []byte) []byte {
	dst = append(dst, learntVersion)
	for what, l := range s.learners {
		if l.here.Sessions() == 0 {
			continue
		}
		counts := l.here.Append(nil)
		dst = append(binary.AppendUvarint(dst, uint64(len(what.endpoint))), what.endpoint...)
		dst = binary.AppendUvarint(append(dst, byte(what.origin)), uint64(len(counts)))
		dst = append(dst, counts...)
	}
	return dst
}

// read reads what was learnt; what cannot be read is learnt anew.
func (s *Schedule) read(row store.Record) map[learnt]*hazard.Counts {
	counts, err := readLearnt(row.Value)
	if err != nil {
		s.complaints.Do(func() {
			s.options.Log.Warn("what was learnt about when sessions end cannot be read, it is learnt anew", "replica", row.Key, "error", err)
		})
		return nil
	}
	return counts
}

func readLearnt(value []byte) (map[learnt]*hazard.Counts, error) {
	if len(value) == 0 || value[0] != learntVersion {
		return nil, errLearnt
	}
	all, in := map[learnt]*hazard.Counts{}, fields{rest: value[1:]}
	for len(in.rest) > 0 {
		name, from := string(in.sized()), origin(in.uvarint())
		counts, err := hazard.Read(in.sized())
		if in.wrong || err != nil {
			return nil, errLearnt
		}
		all[learnt{name, from}] = counts
	}
	if in.wrong {
		return nil, errLearnt
	}
	return all, nil
}
