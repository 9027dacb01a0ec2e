//go:build fleet

package trial_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestHoldsEverywhere: what is said to one replica holds at all.
func TestHoldsEverywhere(t *testing.T) {
	l := newLab(t, 3)
	id := func(answer string) string {
		var known struct {
			ID string
		}
		json.Unmarshal([]byte(answer), &known)
		return known.ID
	}
	t.Run("a subscription that is made and deleted", func(t *testing.T) {
		for i, r := range l.replicas {
			status, answer := r.call("POST", "/v1/subscriptions", []byte(`{"url":"`+l.hooks.URL+`/more","events":["session.pending"]}`))
			if status != 201 {
				t.Fatalf("POST = %d %s", status, answer)
			}
			next := l.replicas[(i+1)%3]
			if status, answer := next.call("GET", "/v1/subscriptions/"+id(answer), nil); status != 200 {
				t.Errorf("GET at another replica = %d %s", status, answer)
			}
			before := l.hooks.Count()
			if status, answer := poll(next.public, "sub"+r.public[len("127.0.0.1:"):]); status != 200 {
				t.Errorf("poll = %d %s", status, answer)
			}
			testkit.Eventually(t, "both subscriptions hear of the session", func() bool { return l.hooks.Count() == before+2 })
			if status, answer := next.call("DELETE", "/v1/subscriptions/"+id(answer), nil); status != 204 {
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
		session := id(answer)
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
