package cache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/session"
)

// TestLearnOlder: what another process has made may come late. Something newer stays, unless what
// comes is final.
func TestLearnOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(said(session.Pending, "newer"))
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		know := func(body string) {
			t.Helper()
			if r, known := s.Known(v); !known || string(r.Body) != body {
				t.Errorf("it is known that %v; want %s", r.Observation, body)
			}
		}
		made := func(state session.State, body string) *session.Observation {
			o := said(state, body)
			o.At = time.Now()
			time.Sleep(time.Millisecond)
			return o
		}
		oldest, older := made(session.Succeeded, "oldest"), made(session.Pending, "older")
		want(t, s, v, session.Pending, "newer")
		time.Sleep(time.Millisecond)
		newest := made(session.Pending, "newest")
		s.Learn(v, older)
		know("newer")
		s.Learn(v, newest)
		know("newest")
		s.Learn(v, oldest)
		know("oldest")
		s.Learn(v, newest)
		know("oldest")
		wantPolls(t, p, 1)
	})
}
