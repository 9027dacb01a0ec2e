package delivery

import (
	"context"
	"testing"
	"time"

	"pollbridge/fleet"
	"pollbridge/webhook/send"
)

// silent is other processes that say nothing.
type silent struct{}

func (silent) Announce(context.Context, string, string, []byte, time.Duration) error { return nil }
func (silent) Announced(string, func(fleet.Announcement))                            {}

// TestOthersTryAReceiver that failed here, too, as they were told of it first: they are not told to leave it
// to this process, which leaves it to them.
func TestOthersTryAReceiver(t *testing.T) {
	t.Parallel()
	s := &Service{openFor: time.Minute}
	s.others = newOthers(s, silent{})
	b := newBreaker(s, "sub_a")
	began := b.current()
	for range failuresToOpen - 1 {
		_, _ = began.Execute(func() (o send.Outcome, err error) { return o, errFailed })
	}
	_, _ = began.Execute(func() (o send.Outcome, err error) {
		b.hear(verdict{By: "another process"}, time.Hour)
		return o, errFailed
	})
	if n := len(s.others.found); n != 0 || b.mine {
		t.Errorf("others are told %d times, mine %t", n, b.mine)
	}
	b.hear(verdict{By: "another process", Well: true}, time.Second)
	for range failuresToOpen {
		_, _ = b.Execute(func() (o send.Outcome, err error) { return o, errFailed })
	}
	if n := len(s.others.found); n != 1 || !b.mine {
		t.Errorf("others are told %d times of a failure of its own, mine %t", n, b.mine)
	}
}
