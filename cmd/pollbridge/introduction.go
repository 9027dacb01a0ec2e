package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"

	"pollbridge/admin/api"
)

// introduced is a transport that sends nothing before it knows that a management API answers: it
// asks who does, once and without the key. The public listener of a bridge would pass the key on
// to the upstream.
type introduced struct {
	next   http.RoundTripper
	health string // where to ask
	known  atomic.Bool
}

// strangerError says that no management API answers, and what does instead.
type strangerError struct{ said string }

func (e *strangerError) Error() string { return e.said }

// RoundTrip is that of http.RoundTripper.
func (t *introduced) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.known.Load() {
		if err := t.ask(r.Context()); err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, err
		}
		t.known.Store(true)
	}
	return t.next.RoundTrip(r)
}

func (t *introduced) ask(ctx context.Context) error {
	question, err := http.NewRequestWithContext(ctx, http.MethodGet, t.health, nil)
	if err != nil {
		return err
	}
	answer, err := t.next.RoundTrip(question)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	const most = 4 << 10 // of an answer, which is far shorter
	text, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return err
	}
	var who struct{ Name string }
	if answer.StatusCode != http.StatusOK || json.Unmarshal(text, &who) != nil || who.Name != api.Name {
		return &strangerError{"its /healthz answers " + answer.Status + " and not that it is one"}
	}
	return nil
}
