//go:build trial

package trial_test

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// upstream is a signing API whose signings end when they are told to. It remembers when it was
// asked about each.
type upstream struct {
	url string

	mu       sync.Mutex
	signings map[string]*signing // by token; guarded by mu, as what they hold
}

type signing struct {
	ends   time.Time // zero: never
	polls  []*asking
	flying int
	most   int           // polls at the same time
	takes  time.Duration // that a poll takes; 0: pollTakes
	once   bool          // its end is told once: then it is not known any more
	told   bool          // its end was
	hold   *hold         // holds the next poll back; nil: none does
}

// asking is one poll.
type asking struct {
	by    string // the replica's address for clients
	begun time.Time
	over  time.Time // zero: it is under way
}

// hold holds an answer back.
type hold struct {
	from    chan string // is told who asks: the replica's address for clients
	release chan struct{}
}

// pollTakes is how long an answer takes: so two polls at the same time would be seen.
const pollTakes = 20 * time.Millisecond

func newUpstream(t *testing.T) *upstream {
	u := &upstream{signings: map[string]*signing{}}
	u.url = testkit.Serve(t, u).URL
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimSuffix(path.Base(r.URL.Path), ".json")
	u.mu.Lock()
	s := u.signing(token)
	by, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	poll := &asking{by: by, begun: time.Now()}
	s.polls = append(s.polls, poll)
	s.flying++
	s.most = max(s.most, s.flying)
	takes, held := cmp.Or(s.takes, pollTakes), s.hold
	s.hold = nil
	u.mu.Unlock()
	if held != nil {
		held.from <- by
		<-held.release
	}
	time.Sleep(takes)
	u.mu.Lock()
	s.flying--
	poll.over = time.Now()
	over := !s.ends.IsZero() && time.Now().After(s.ends)
	forgotten := over && s.once && s.told
	s.told = s.told || over
	u.mu.Unlock()
	switch {
	case forgotten:
		testkit.Respond(w, 200, `{"status":"error","message":"no such signing","error_code":40402}`)
		return
	case over:
		testkit.Respond(w, 200, `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}`)
		return
	}
	testkit.Respond(w, 200, testkit.Waiting)
}

// signing must be called with mu held.
func (u *upstream) signing(token string) *signing {
	s := u.signings[token]
	if s == nil {
		s = &signing{}
		u.signings[token] = s
	}
	return s
}

// end has a signing end at a time.
func (u *upstream) end(token string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.signing(token).ends = at
}

// endOnce is end, but only one poll is told of it.
func (u *upstream) endOnce(token string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.signing(token)
	s.ends, s.once = at, true
}

// endUnlessOver is end where the signing has none yet.
func (u *upstream) endUnlessOver(token string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.signing(token); s.ends.IsZero() {
		s.ends = at
	}
}

// hold holds back the answer to the next poll about a signing until release is called; from is told
// who asks.
func (u *upstream) hold(token string) (from <-chan string, release func()) {
	held := &hold{make(chan string, 1), make(chan struct{})}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.signing(token).hold = held
	return held.from, sync.OnceFunc(func() { close(held.release) })
}

// asked returns when it was asked about a signing, and by how many at a time at most.
func (u *upstream) asked(token string) (polls []time.Time, most int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.signing(token)
	for _, p := range s.polls {
		polls = append(polls, p.begun)
	}
	return polls, s.most
}

// together tells which polls about a signing were under way at the same time, and who made them.
func (u *upstream) together(token string) (pairs []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	const clock = "15:04:05.000"
	polls := u.signing(token).polls
	for i, p := range polls {
		for _, next := range polls[i+1:] {
			if p.over.IsZero() || next.begun.Before(p.over) {
				pairs = append(pairs, fmt.Sprintf("%s from %s until %s, and %s from %s until %s",
					p.by, p.begun.Format(clock), p.over.Format(clock), next.by, next.begun.Format(clock), next.over.Format(clock)))
			}
		}
	}
	return pairs
}
