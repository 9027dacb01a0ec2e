package webhook

import (
	"context"
	"time"

	"pollbridge/store"
)

// fanOut makes deliveries of an event. It may be given the same one again.
func (s *Service) fanOut(ctx context.Context, entry store.Entry) error {
	e, err := readEvent(entry)
	if err != nil {
		s.log.Error("skipping an unreadable event, it is not delivered", "error", err)
		return nil // it will not get better
	}
	first := e.place > s.fanned
	s.fanned = max(s.fanned, e.place)
	for _, sub := range s.registry.matching(e) {
		if first {
			s.fresh.put(itemName(s.deliveryID(sub.ID, e.ID), e.place, 0), fresh{e, entry.At}, len(e.payload)+freshOverhead)
		}
		if err := s.enqueue(ctx, sub, e, 0); err != nil {
			return err
		}
	}
	return nil
}

// fresh is an event that was recorded and fanned out for the first time a moment ago.
// Hardly anything can be stored yet about its delivery, so neither has to be read for
// the first attempt.
type fresh struct {
	*event
	since time.Time // when it was recorded
}

// freshFor is less than the time for which the queue does not add the same item twice,
// and than that for which it is known what was erased: who catches a subscription up may
// have added and done the item before it is fanned out.
const freshFor = time.Minute

// freshOverhead is about how many bytes an event takes besides its payload.
const freshOverhead = 1 << 10

// takeFresh returns the event of an item that is taken for the first time, or nil if
// that is not certain. Should something be stored about the delivery after all, it cannot
// be overwritten: the delivery is read then, after an attempt too many.
func (s *Service) takeFresh(item *store.Item, w work) *event {
	f, ok := s.fresh.take(item.Name)
	if !ok || w.Tried || item.Tries > 1 || time.Since(f.since) > freshFor || s.erased.has(f.subject, f.place) {
		return nil
	}
	return f.event
}
