package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
)

func startUpstream(t *testing.T, a api) *upstream {
	t.Helper()
	u, err := newUpstream(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.close() })
	return u
}

// What a client and an upstream agree about is what every server between them is
// measured with.
func TestClientPollsUpstream(t *testing.T) {
	u := startUpstream(t, api{sessions: 20, answer: []byte(pendingAnswer), final: finalAnswers(100)})
	if err := pollPending(t.Context(), u.address, 4, time.Minute, 20, 1).err(20); err != nil {
		t.Fatal(err)
	}
	if got := u.requests.Load(); got != 20 {
		t.Errorf("%d requests for 20 sessions", got)
	}
	if most := u.most.Load(); most < 1 || most > 4 {
		t.Errorf("%d requests in flight at once over 4 connections", most)
	}
	if err := pollPending(t.Context(), u.address, 4, time.Minute, 20, 5).err(4); err != nil {
		t.Errorf("every fifth session: %v", err)
	}

	u.end(7)
	c := newClient(u.address, 1)
	defer c.close()
	answer, err := c.poll(7)
	if err != nil || !bytes.Equal(answer, u.final(7)) || u.told[7].Load() == 0 {
		t.Errorf("poll = %q, %v, told at %d; want %q, noted", answer, err, u.told[7].Load(), u.final(7))
	}
	if bytes.Equal(u.final(7), u.final(8)) {
		t.Error("two sessions have the same final answer")
	}
	if err := pollPending(t.Context(), u.address, 4, time.Minute, 20, 1).err(20); err == nil || !strings.Contains(err.Error(), "19 of 20") {
		t.Errorf("with a session that has ended: %v; want 19 of 20", err)
	}
	u.failing.Store(true)
	if _, err := c.poll(0); err == nil {
		t.Error("poll of a failing upstream: want an error")
	}
}

func TestReceiver(t *testing.T) {
	r, err := newReceiver(10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.close() })
	send := func(event string) int {
		res, err := http.Post("http://"+r.address+"/hook", "application/json", strings.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	const token = `"token":"5e550000000000000000000000000003"`
	for event, want := range map[string]int{
		`{"data":{` + token + `,"final":false}}`: http.StatusNoContent,
		`{"data":{` + token + `,"final":true}}`:  http.StatusNoContent,
		`{"data":{"final":true}}`:                http.StatusBadRequest,
		`{"data":{"token":"5e55ff"}}`:            http.StatusBadRequest, // not one of ten
	} {
		if got := send(event); got != want {
			t.Errorf("%s: %d, want %d", event, got, want)
		}
	}
	send(`{"data":{` + token + `,"final":true}}`) // delivered again
	if events, finals := r.events.Load(), r.finals.Load(); events != 3 || finals != 1 || r.came[3].Load() == 0 {
		t.Errorf("%d events, %d finals, session 3 at %d; want 3, 1 and a time", events, finals, r.came[3].Load())
	}
}
