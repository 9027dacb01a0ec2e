//go:build trial

package trial_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestHoldsEverywhere: what is said to one replica holds at all.
func TestHoldsEverywhere(t *testing.T) {
	l := newLab(t, 3)
	t.Run("a subscription that is made and deleted", func(t *testing.T) {
		for i, r := range l.replicas {
			status, answer := r.call("POST", "/v1/subscriptions", []byte(`{"url":"`+l.hooks.URL+`/more","events":["session.pending"]}`))
			if status != 201 {
				t.Fatalf("POST = %d %s", status, answer)
			}
			next := l.replicas[(i+1)%3]
			if status, answer := next.call("GET", "/v1/subscriptions/"+idOf(answer), nil); status != 200 {
				t.Errorf("GET at another replica = %d %s", status, answer)
			}
			before := l.hooks.Count()
			if status, answer := poll(next.public, "sub"+r.public[len("127.0.0.1:"):]); status != 200 {
				t.Errorf("poll = %d %s", status, answer)
			}
			testkit.Eventually(t, "both subscriptions hear of the session", func() bool { return l.hooks.Count() == before+2 })
			if status, answer := next.call("DELETE", "/v1/subscriptions/"+idOf(answer), nil); status != 204 {
				t.Errorf("DELETE at another replica = %d %s", status, answer)
			}
			before = l.hooks.Count()
			poll(r.public, "gone"+r.public[len("127.0.0.1:"):])
			testkit.Eventually(t, "one subscription hears of the next session", func() bool { return l.hooks.Count() > before })
		}
	})
	t.Run("a session that is registered, held and erased", func(t *testing.T) {
		l.up.end("reg", time.Now().Add(4*time.Second))
		status, answer := l.replicas[0].call("POST", "/v1/sessions", []byte(`{"endpoint":"smartid-sign","token":"reg","access_token":"sesame"}`))
		session := idOf(answer)
		if status != 201 && status != 200 && status != 202 || !strings.HasPrefix(session, "ses_") {
			t.Fatalf("POST = %d %s", status, answer)
		}
		testkit.Eventually(t, "its end is known at each replica", func() bool {
			for _, r := range l.replicas {
				if _, answer := r.call("GET", "/v1/sessions/"+session, nil); !strings.Contains(answer, `"succeeded"`) {
					return false
				}
			}
			return true
		})
		for _, r := range l.replicas {
			if status, answer := r.call("GET", "/v1/sessions/"+session+"/response", nil); status != 200 || !strings.Contains(answer, "JVBERi0=") {
				t.Errorf("the answer = %d %s", status, answer)
			}
			if status, answer := poll(r.public, "reg"); status != 200 || !strings.Contains(answer, "JVBERi0=") {
				t.Errorf("poll = %d %s", status, answer)
			}
		}
		l.up.end("reg", time.Time{})
		if status, answer := l.replicas[1].call("DELETE", "/v1/sessions/"+session, nil); status != 204 {
			t.Fatalf("DELETE = %d %s", status, answer)
		}
		for _, r := range l.replicas {
			if status, answer := poll(r.public, "reg"); status != 200 || !strings.Contains(answer, "waiting") {
				t.Errorf("poll after the erasure = %d %s", status, answer)
			}
		}
	})
}

// TestErasedWhileCutOff: what was erased meanwhile, a replica that was cut off neither serves nor
// stores when it is back.
func TestErasedWhileCutOff(t *testing.T) {
	l := newLab(t, 3)
	away, there := l.replicas[0], l.replicas[1]
	sessions := map[string]string{}
	register := func(token string) {
		status, answer := there.call("POST", "/v1/sessions", []byte(`{"endpoint":"smartid-sign","token":"`+token+`","access_token":"sesame"}`))
		if sessions[token] = idOf(answer); sessions[token] == "" {
			t.Fatalf("POST = %d %s", status, answer)
		}
	}
	var known, seen []string // before it is cut off, and while it is
	for i := range 6 {       // some of which it looks after
		known, seen = append(known, fmt.Sprint("known", i)), append(seen, fmt.Sprint("seen", i))
		register(known[i])
		register(seen[i])
		l.up.end(known[i], time.Now())
	}
	for _, token := range known {
		testkit.Eventually(t, "its end is known", func() bool {
			_, answer := poll(away.public, token)
			return strings.Contains(answer, "JVBERi0=")
		})
	}
	l.cut(away, true)
	testkit.Eventually(t, "the others miss it", func() bool {
		return len(there.replicas()) == 2
	})
	for _, token := range seen {
		l.up.end(token, time.Now())
		testkit.Eventually(t, "it sees the end", func() bool {
			_, answer := poll(away.public, token)
			return strings.Contains(answer, "JVBERi0=")
		})
	}
	for token, id := range sessions {
		testkit.Eventually(t, "it is erased", func() bool {
			status, _ := there.call("DELETE", "/v1/sessions/"+id, nil)
			return status == 204 || status == 404
		})
		l.up.end(token, time.Time{})
	}
	l.cut(away, false)
	l.balanced()
	away.nothingWaits()
	for token := range sessions {
		testkit.Eventually(t, "it has forgotten "+token, func() bool {
			_, answer := poll(away.public, token)
			return strings.Contains(answer, "waiting")
		})
	}
	for token, id := range sessions {
		for _, r := range l.replicas {
			if status, answer := poll(r.public, token); status != 200 || !strings.Contains(answer, "waiting") {
				t.Errorf("%s is answered %d %s after its erasure", token, status, answer)
			}
			if status, answer := r.call("GET", "/v1/sessions/"+id+"/response", nil); status == 200 {
				t.Errorf("the answer of %s after its erasure = %s", token, answer)
			}
		}
	}
}

// TestAFailingReceiver is left alone by all, and one of them tries it now and then.
func TestAFailingReceiver(t *testing.T) {
	l := newLab(t, 3)
	l.hooks.Set(testkit.AnswerStatus(500))
	tokens := l.sign(90, 0, time.Second)
	pause := func(d time.Duration) { // there is nothing to wait for
		began := time.Now()
		testkit.Eventually(t, "a while to pass", func() bool { return time.Since(began) > d })
	}
	pause(6 * time.Second)
	first := l.hooks.Count()
	const periods = 4 // of a breaker
	pause(periods * 5 * time.Second)
	tried := l.hooks.Count() - first
	t.Logf("%d attempts until it was left alone, then %d in %d periods", first, tried, periods)
	if tried > periods+2 {
		t.Errorf("it was tried %d times in %d periods", tried, periods)
	}
	l.hooks.Set(testkit.AnswerStatus(204))
	l.delivered(tokens, time.Minute)
}
