package cache

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"pollbridge/session"
)

// Finals keeps final observations until they are forgotten, whatever becomes of the
// cache. Both methods may block, but must heed their ctx, which ends after a few
// seconds; they are called from many goroutines.
type Finals interface {
	// Keep stores o as an answer to v. After it returned nil, Load finds o for as
	// long as final observations are kept. It is called before o is answered to
	// anybody.
	Keep(ctx context.Context, v *session.Variant, o *session.Observation) error
	// Load returns the observations that were kept for v's key, in that order.
	Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error)
}

// Memory is a Finals that lasts as long as the process. It is safe for concurrent
// use. Create it with NewMemory.
type Memory struct {
	keep    time.Duration
	maxSize int64

	mu    sync.Mutex
	size  int64 // guarded by mu, as all below
	byKey map[string]*list.Element
	byAge list.List // of *kept, the oldest first
}

type kept struct {
	record *record
	until  time.Time
}

// NewMemory returns an empty Memory that forgets an observation after a while, or
// earlier if all of them take more than maxSize bytes: then the oldest go first.
func NewMemory(keep time.Duration, maxSize Size) *Memory {
	return &Memory{keep: keep, maxSize: int64(maxSize), byKey: map[string]*list.Element{}}
}

// ErrTooLarge is the error of an observation that can never be kept.
var ErrTooLarge = errors.New("cache: a final answer is larger than all that may be kept")

// Keep fails with ErrTooLarge only.
func (m *Memory) Keep(_ context.Context, v *session.Variant, o *session.Observation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var known *record
	element, replaces := m.byKey[v.Key()]
	if replaces {
		known = element.Value.(*kept).record
	}
	entry := &kept{record: known.with(v.Key(), o), until: o.At.Add(m.keep)}
	if entry.record.cost() > m.maxSize {
		return ErrTooLarge
	}
	if replaces {
		m.removeLocked(element)
	}
	m.byKey[v.Key()] = m.byAge.PushBack(entry)
	m.size += entry.record.cost()
	m.forgetLocked(time.Now())
	return nil
}

// Load never fails.
func (m *Memory) Load(_ context.Context, v *session.Variant) ([]*session.Observation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(time.Now())
	element, ok := m.byKey[v.Key()]
	if !ok {
		return nil, nil
	}
	var observations []*session.Observation
	for o := range element.Value.(*kept).record.all {
		observations = append(observations, o)
	}
	return observations, nil
}

func (m *Memory) forgetLocked(now time.Time) {
	for oldest := m.byAge.Front(); oldest != nil; oldest = m.byAge.Front() {
		if m.size <= m.maxSize && now.Before(oldest.Value.(*kept).until) {
			return
		}
		m.removeLocked(oldest)
	}
}

func (m *Memory) removeLocked(element *list.Element) {
	entry := m.byAge.Remove(element).(*kept)
	delete(m.byKey, entry.record.key)
	m.size -= entry.record.cost()
}
