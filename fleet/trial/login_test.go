//go:build trial

package trial_test

import (
	"net/http"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestLoginHoldsEverywhere logs in at one replica, goes on at another and logs out at the
// third; and a replica that is cut off from NATS goes by what it knows.
func TestLoginHoldsEverywhere(t *testing.T) {
	l := newLab(t, 3)
	ask := func(r *replica, method, path, body, cookie string) (status int, made string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.private+path, strings.NewReader(body))
		testkit.NoError(t, err)
		request.Close = true
		request.Header.Set("Sec-Fetch-Site", "same-origin")
		request.Header.Set("Cookie", cookie)
		answer, err := http.DefaultTransport.RoundTrip(request)
		testkit.NoError(t, err)
		answer.Body.Close()
		for _, c := range answer.Cookies() {
			made = c.Name + "=" + c.Value
		}
		return answer.StatusCode, made
	}
	login := func(r *replica) string {
		t.Helper()
		status, cookie := ask(r, "POST", "/login", `{"key":"`+managementKey+`"}`, "")
		if status != 204 {
			t.Fatalf("login = %d", status)
		}
		return cookie
	}
	want := func(cookie string, status int) {
		t.Helper()
		for i, r := range l.replicas {
			if got, _ := ask(r, "GET", "/v1/replicas", "", cookie); got != status {
				t.Errorf("replica %d answers %d; want %d", i, got, status)
			}
		}
	}
	cookie := login(l.replicas[0])
	want(cookie, 200)
	if status, _ := ask(l.replicas[2], "POST", "/logout", "", cookie); status != 204 {
		t.Errorf("logout = %d", status)
	}
	want(cookie, 401)

	cookie = login(l.replicas[1])
	want(cookie, 200)
	l.cut(l.replicas[0], true)
	want(cookie, 200)
	if _, made := ask(l.replicas[0], "POST", "/login", `{"key":"`+managementKey+`"}`, ""); made == "" {
		t.Error("nobody can log in at a replica that is cut off")
	} else if status, _ := ask(l.replicas[0], "GET", "/v1/replicas", "", made); status != 200 {
		t.Errorf("who has logged in there is answered %d", status)
	}
}
