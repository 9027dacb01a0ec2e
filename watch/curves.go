package watch

import (
	"cmp"
	"slices"
	"time"

	"pollbridge/session"
	"pollbridge/watch/hazard"
)

// Curve is what was learnt of when the sessions of an endpoint end, and what that saves.
type Curve struct {
	Endpoint string
	// Since is what ages count from: "start" where the call was seen that has started a session,
	// "sight" where it was first seen by a poll.
	Since string
	// Sessions is how many were learnt from, by all replicas.
	Sessions float64
	// Points say when sessions end and are polled, by age, up to the oldest that was seen. There are
	// none until enough was learnt: so long they are polled every interval.
	Points []hazard.Point
	// Polls is how many observations of such sessions this process has made since its start, but for
	// the first one of each, and PollsAtInterval how many there had been with one in each interval.
	Polls, PollsAtInterval float64
}

// Curves returns what was learnt, by endpoint and by what ages count from. Where the schedule is
// fixed, it only says how many polls were made.
func (s *Schedule) Curves() []Curve {
	s.mu.Lock()
	defer s.mu.Unlock()
	curves := make([]Curve, 0, len(s.spent))
	for what, spent := range s.spent {
		c := Curve{Endpoint: what.endpoint, Since: originNames[what.origin], Polls: spent.polls, PollsAtInterval: spent.atInterval}
		if l := s.learners[what]; l != nil {
			c.Sessions = l.here.Sessions() + l.others.Sessions()
			c.Points = l.curve.Load().Points()
		}
		curves = append(curves, c)
	}
	slices.SortFunc(curves, func(a, b Curve) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Since, b.Since))
	})
	return curves
}

// spent is how many polls were, and how many had been with one in each interval.
type spent struct{ polls, atInterval float64 }

// polled is told of an observation of a session, so long after the one before.
func (s *Schedule) polled(v *session.Variant, from origin, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spent := s.spent[learnt{v.Endpoint.Name, from}]; spent != nil {
		spent.polls++
		// More is an outage, which costs no polls either.
		spent.atInterval += max(0, min(after, s.cfg.bounds().Most).Seconds()/s.cfg.Interval.Seconds())
	}
}
