package cache

import "pollbridge/session"

// NewsTimeout is how long a client with a pending answer waits for a newer one.
const NewsTimeout = newsTimeout

// SweepInterval is how often slots are looked through.
const SweepInterval = sweepInterval

// Slots returns how many questions have a slot.
func (s *Statuses) Slots() int {
	n := 0
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += len(s.shards[i].slots)
		s.shards[i].mu.Unlock()
	}
	return n
}

// LockSlot keeps everybody away from v's slot until unlock is called.
func (s *Statuses) LockSlot(v *session.Variant) (unlock func()) {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	return shard.mu.Unlock
}

// Remember gives ristretto what a flight that ended would have given it.
func (s *Statuses) Remember(v *session.Variant, o *session.Observation) {
	s.remember(&record{key: v.Key(), newest: o})
	s.store.Wait()
}

// Collide puts an answer to other where ristretto looks for v's, as two questions
// with one hash would.
func (s *Statuses) Collide(v, other *session.Variant, o *session.Observation) {
	s.store.Set([]byte(v.Key()), &record{key: other.Key(), newest: o}, 1)
	s.store.Wait()
}

// Forget takes a question out of ristretto, as an eviction does.
func (s *Statuses) Forget(v *session.Variant) { s.store.Del([]byte(v.Key())) }

// Applied waits until ristretto has applied what it was given.
func (s *Statuses) Applied() { s.store.Wait() }
