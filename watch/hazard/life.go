package hazard

import "time"

// Life is what was seen of one session. Ages count from when it began, or was first seen: that has
// to be the same for all sessions that are counted together.
type Life struct {
	// Pending is the age at which it was last seen to be pending.
	Pending time.Duration
	// Over is the age at which it was first seen to be over, 0 if nobody looks any more.
	Over time.Duration
}

// sane has ages in their order, whatever clocks did.
func (l Life) sane() Life {
	l.Pending = max(0, l.Pending)
	if l.Over > 0 {
		l.Over = max(l.Pending, l.Over)
	}
	return l
}
