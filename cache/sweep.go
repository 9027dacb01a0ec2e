package cache

import "time"

// sweepInterval is how often slots are looked through. It bounds nothing but
// memory.
const sweepInterval = 2 * time.Second

// maxLingering is how many slots may wait for ristretto to accept their record
// after their window has passed. Beyond it, an outage may find a session without an
// answer to fall back on.
const maxLingering = 200_000

func (s *Statuses) sweepUntilQuit() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for i := range s.shards {
				s.sweepShard(&s.shards[i])
			}
			s.siblings.sweep(time.Now())
			s.origins.sweep(time.Now(), s.cfg.PendingTTL)
		case <-s.quit:
			return
		}
	}
}

func (s *Statuses) sweepShard(shard *shard) {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	now := time.Now()
	for key, slot := range shard.slots {
		if s.disposable(slot, now, len(shard.slots)) {
			delete(shard.slots, key)
		}
	}
}

// disposable reports whether a slot may go. It offers ristretto what it seems to
// have dropped.
func (s *Statuses) disposable(slot *slot, now time.Time, slots int) bool {
	known := slot.known
	switch {
	case slot.flight != nil, slot.last.remembered(s.cfg.PendingTTL):
		return false
	case s.useful(known, now) <= 0:
		return true
	case slot.origin != "":
		return false
	case !known.newest.State.Final() && s.left(known, known.newest, now) > 0:
		return false
	}
	held := s.remembered([]byte(known.key))
	if held == known {
		return true
	}
	s.remember(known)
	if known.newest.State.Final() && held == nil && !s.unkept.holds(known) {
		return true // Finals has it
	}
	return slots > maxLingering/shardCount
}
