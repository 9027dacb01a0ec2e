//go:build trial

package trial_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
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
	t.Run("an end that is waited for", func(t *testing.T) {
		var waiting sync.WaitGroup
		var tokens []string // of sessions, each of which two replicas do not look after
		for i := range 9 {
			token := fmt.Sprint("waited", i)
			tokens = append(tokens, token)
			poll(l.front, token)
			l.up.end(token, time.Now().Add(3*time.Second))
			for _, r := range l.replicas {
				waiting.Go(func() {
					status, answer := pollFor(r.public, token, 20*time.Second)
					if status != 200 || !strings.Contains(answer, "JVBERi0=") {
						t.Errorf("who waits for %s at %s is answered %d %s", token, r.public, status, answer)
					}
				})
			}
		}
		waiting.Wait()
		for _, token := range tokens {
			if polls, most := l.up.asked(token); most > 1 {
				t.Errorf("%s was polled %d times, up to %d at a time", token, len(polls), most)
			}
		}
		l.neverTwoForLong(tokens, 1)
	})
	t.Run("a secret that is rotated", func(t *testing.T) {
		status, answer := l.replicas[0].call("POST", "/v1/subscriptions", []byte(`{"url":"`+l.hooks.URL+`/rotated","events":["session.pending"]}`))
		var made, rotated struct{ ID, Secret string }
		if json.Unmarshal([]byte(answer), &made) != nil || status != 201 {
			t.Fatalf("POST = %d %s", status, answer)
		}
		status, answer = l.replicas[1].call("POST", "/v1/subscriptions/"+made.ID+"/rotate-secret", nil)
		if json.Unmarshal([]byte(answer), &rotated) != nil || status != 200 || rotated.Secret == made.Secret {
			t.Fatalf("rotate-secret = %d %s", status, answer)
		}
		const signings = 30 // so that each replica delivers some
		l.sign(signings, time.Hour, time.Second)
		var got []testkit.Webhook
		testkit.Eventually(t, "all are told", func() bool {
			got = slices.DeleteFunc(l.hooks.Got(), func(w testkit.Webhook) bool { return w.Path != "/rotated" })
			return len(got) == signings
		})
		for _, w := range got {
			testkit.NoError(t, w.Verify(rotated.Secret))
			testkit.NoError(t, w.Verify(made.Secret)) // for a day
		}
	})
}

// TestAReceiverThatAsksForTime: what a receiver has said to one replica holds at the one that tries again,
// and a first event that failed is not tried again when the last one was delivered.
func TestAReceiverThatAsksForTime(t *testing.T) {
	l := newLab(t, 3)
	const wanted, longer = 8 * time.Second, 20 * time.Second
	var mu sync.Mutex
	refused, delivered := map[string]time.Time{}, map[any]time.Time{} // the last time by id, and ends by token
	refuse := func(w http.ResponseWriter, got testkit.Webhook, wait time.Duration) {
		refused[got.ID()] = time.Now()
		w.Header().Set("Retry-After", fmt.Sprint(wait.Seconds()))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	l.hooks.Set(func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		mu.Lock()
		defer mu.Unlock()
		token := got.Data["token"]
		before, again := refused[got.ID()]
		switch after := time.Since(before); {
		case got.Type == "session.pending":
			if end, over := delivered[token]; over && time.Since(end) > longer/2 { // else it may have been under way
				t.Errorf("the beginning of %v was told %v after its end", token, time.Since(end))
			}
			refuse(w, got, longer)
		case !again:
			refuse(w, got, wanted)
		default:
			if after < wanted {
				t.Errorf("the end of %v was told again after %v", token, after)
			}
			delivered[token] = time.Now()
		}
	})
	const signings = 4 // after ten failures in a row the receiver would be left alone
	tokens := l.sign(signings, 2*time.Second, time.Second)
	// states counts deliveries by their state, and whether they were tried.
	states := func() map[string]int {
		_, answer := l.replicas[1].call("GET", "/v1/deliveries", nil)
		var list struct {
			Items []struct {
				State        string
				AttemptCount int `json:"attempt_count"`
			}
		}
		if json.Unmarshal([]byte(answer), &list) != nil {
			return nil
		}
		n := map[string]int{}
		for _, d := range list.Items {
			n[d.State]++
			if d.AttemptCount > 0 {
				n["tried"]++
			}
		}
		return n
	}
	testkit.Eventually(t, "each event was refused", func() bool { return states()["tried"] == 2*signings })
	l.replicas[0].Kill() // others try again what it has tried
	testkit.Eventually(t, "each end is delivered, and no beginning any more", func() bool {
		n := states()
		return n["delivered"] == signings && n["superseded"] == signings
	})
	l.delivered(tokens, time.Minute)
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
