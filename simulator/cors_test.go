package simulator_test

import (
	"net/http"
	"testing"

	"pollbridge/simulator"
)

func TestCORS(t *testing.T) {
	sim := newSimulator(t, simulator.Config{CORS: true})
	for _, test := range []struct {
		name, method string
		fields       []string
		status       int
		want         map[string]string // of the answer
	}{
		{"a poll", "POST", []string{"Origin: https://shop.example"}, 200,
			map[string]string{"Access-Control-Allow-Origin": "https://shop.example", "Vary": "Origin"}},
		{"without an origin", "POST", nil, 200, map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin"}},
		{"a preflight", "OPTIONS", []string{"Origin: null", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}, 204,
			map[string]string{"Access-Control-Allow-Origin": "null", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type"}},
		{"no preflight", "OPTIONS", []string{"Origin: null"}, 404, map[string]string{"Access-Control-Allow-Origin": "null"}},
	} {
		w := call(sim, test.method, statusPath("x"), `{"access_token":"test"}`, test.fields...)
		if w.Code != test.status {
			t.Errorf("%s: HTTP %d, want %d", test.name, w.Code, test.status)
		}
		for name, want := range test.want {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", test.name, name, got, want)
			}
		}
	}
	sim.SetFault(simulator.Fault{Mode: simulator.Error502})
	if w := call(sim, "POST", statusPath("x"), "", "Origin: null"); w.Code != 502 || w.Header().Get("Access-Control-Allow-Origin") != "null" {
		t.Errorf("an error: HTTP %d, %v; want 502 and the origin", w.Code, w.Header())
	}
	without := newSimulator(t, simulator.Config{})
	if w := call(without, "OPTIONS", statusPath("x"), "", "Origin: null", "Access-Control-Request-Method: POST"); w.Code != http.StatusNotFound || w.Header().Get("Vary") != "" {
		t.Errorf("without CORS: HTTP %d, %v; want 404 and nothing about origins", w.Code, w.Header())
	}
}
