package cache

import (
	"context"
	"time"

	"pollbridge/session"
)

// UnderWay answers another process that asks the upstream about v from now on, for the page of an
// origin. If this one is asking, UnderWay waits for what comes of that; else it answers with what
// is fresh here, or is remembered of a failure. It asks nobody: found is false where there is
// nothing of that, or ctx ends.
func (s *Statuses) UnderWay(ctx context.Context, v *session.Variant, origin string) (result Result, found bool, err error) {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	slot := s.slotLocked(shard, v)
	known, last, flight := slot.known, slot.last, slot.flight
	shard.mu.Unlock()
	switch {
	case flight == nil:
	case !flight.asking.Load(): // it may wait for who asks here
		return Result{}, false, nil
	case flight.wait(ctx, 0) != nil:
		return Result{}, false, nil
	default:
		known, last = flight.known, failure{err: flight.err, at: time.Now(), origin: flight.origin}
	}
	if result, ok := s.inWindow(known, v.Locale); ok {
		return result, true, nil
	}
	if !last.remembered(s.cfg.PendingTTL) || !last.concerns(origin) {
		return Result{}, false, nil
	}
	result, err = s.insteadOfNews(known, v.Locale, last.err)
	return result, true, err
}
