//go:build fleet

package trial_test

import (
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
	polls  []time.Time
	flying int
	most   int // polls at the same time
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
	s.polls = append(s.polls, time.Now())
	s.flying++
	s.most = max(s.most, s.flying)
	u.mu.Unlock()
	time.Sleep(pollTakes)
	u.mu.Lock()
	s.flying--
	over := !s.ends.IsZero() && time.Now().After(s.ends)
	u.mu.Unlock()
	if over {
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

// asked returns when it was asked about a signing, and by how many at a time at most.
func (u *upstream) asked(token string) (polls []time.Time, most int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.signing(token)
	return append([]time.Time(nil), s.polls...), s.most
}
