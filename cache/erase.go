package cache

import "pollbridge/session"

// Erase forgets what is known about v's question, in all locales; what Finals has is
// not its business. A request that is under way may bring it back.
func (s *Statuses) Erase(v *session.Variant) {
	key := v.Key()
	s.siblings.forget(session.SessionKey(key))
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if slot, busy := shard.slots[key]; busy {
		slot.known, slot.unkept = nil, false
		if slot.flight == nil {
			delete(shard.slots, key)
		}
	}
	// The record may still be on its way into ristretto, and be there for a moment before
	// it is deleted. Under the lock: nobody may find it in that moment and keep it.
	s.store.Del([]byte(key))
	s.store.Wait()
}
