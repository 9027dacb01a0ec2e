package simulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"pollbridge/simulator"
)

func newSimulator(t testing.TB, cfg simulator.Config) *simulator.Simulator {
	t.Helper()
	sim, err := simulator.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(sim.Close)
	return sim
}

// serve returns the simulator behind a real listener.
func serve(t testing.TB, cfg simulator.Config) (*simulator.Simulator, string) {
	t.Helper()
	sim, err := simulator.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	t.Cleanup(sim.Close) // first, since a hung call would hold the server
	return sim, server.URL
}

func start(t testing.TB, sim *simulator.Simulator, req simulator.StartRequest) simulator.Session {
	t.Helper()
	if req.AccessToken == "" {
		req.AccessToken = "test"
	}
	session, err := sim.Start(req)
	if err != nil {
		t.Fatalf("Start(%+v): %v", req, err)
	}
	return session
}

func statusPath(token string) string { return "/en/smartid/sign/status/" + token + ".json" }

// call makes one request without a server; fields are header lines.
func call(sim http.Handler, method, target, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	return w
}

func poll(sim http.Handler, token string) *httptest.ResponseRecorder {
	return call(sim, "POST", statusPath(token), `{"access_token":"test"}`)
}

// seen is what the tests look at in an answer of any dialect.
type seen struct {
	Status         string `json:"status"`
	Message        string `json:"message"`
	ErrorCode      int    `json:"error_code"`
	Token          string `json:"token"`
	ControlCode    string `json:"control_code"`
	SignatureID    string `json:"signature_id"`
	SignatureValue string `json:"signature_value"`
	File           *struct {
		Name    string `json:"name"`
		Content []byte `json:"content"`
		Digest  string `json:"digest"`
	} `json:"file"`
	Person *struct {
		Name    string `json:"name"`
		Surname string `json:"surname"`
	} `json:"person"`
	Certificate *struct {
		Value []byte `json:"value"`
	} `json:"certificate"`
	SanctionsData []any `json:"sanctions_data"`
	PepsData      []any `json:"peps_data"`
	Data          struct {
		DocumentStatus string `json:"document_status"`
	} `json:"data"`
}

func read(t testing.TB, body io.Reader) seen {
	t.Helper()
	var s seen
	if err := json.UnmarshalRead(body, &s); err != nil {
		t.Fatalf("the answer is no JSON: %v", err)
	}
	return s
}

// short describes an answer in a word: waiting, ok, or its error code.
func short(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	s := read(t, w.Body)
	if s.Status == "error" {
		return fmt.Sprint(s.ErrorCode)
	}
	return s.Status
}
