package simulator_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"pollbridge/simulator"
)

// Each line is one exchange: what is sent, and what the answer begins with. T
// stands for the token of a session.
func TestControlCalls(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Seed: 1})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	for _, tt := range []struct{ method, target, body, want string }{
		{"GET", "/_simulator/", "", "200 A simulated signing API."},
		{"GET", "/_simulator/stats", "", `200 {"seed":1,"starts":1,`},
		{"GET", "/_simulator/sessions/T", "", `200 {"token":"T","endpoint":"smartid-sign",`},
		{"GET", "/_simulator/sessions/nobody", "", `404 {"error":"no session has this token"}`},
		{"POST", "/_simulator/sessions/nobody", `{"outcome":"refused"}`, `404 {"error":"no session has this token"}`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"won"}`, `400 {"error":"outcome: \"won\" is not an outcome; accepted: succeeded, refused, expired, failed, forgotten or waiting`},
		{"POST", "/_simulator/sessions/T", `{"outcome":1}`, `400 {"error":"outcome: 1 is no text; accepted: a JSON string"}`},
		{"POST", "/_simulator/sessions/T", `{"result":"won"}`, `400 {"error":"\"result\" is not a field; accepted: outcome; outcome: it is missing"}`},
		{"POST", "/_simulator/sessions/T", ``, `400 {"error":"the body cannot be read: `},
		{"POST", "/_simulator/sessions/T", `null`, `400 {"error":"outcome: it is missing"}`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"refused","outcome":"failed"}`, `400 {"error":"the body cannot be read: `},

		{"GET", "/_simulator/fault", "", `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":0.5,"duration":"30s"}`, `200 {"mode":"hang","probability":0.5,"duration":"30s","scope":"all","pace":"250ms"}`},
		{"GET", "/_simulator/fault", "", `200 {"mode":"hang","probability":0.5,`},
		{"DELETE", "/_simulator/fault", "", `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"none"}`, `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hnag"}`, `400 {"error":"mode: \"hnag\" is not a fault; accepted: none, error500, error502,`},
		{"PUT", "/_simulator/fault", `{"mode":""}`, `400 {"error":"mode: \"\" is not a fault;`},
		{"PUT", "/_simulator/fault", `{"Mode":"hang"}`, `400 {"error":"\"Mode\" is not a field; accepted: duration, mode, pace, probability, scope; mode: it is missing"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":0}`, `400 {"error":"probability: \"0\" is out of range; accepted: a number above 0, at most 1"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":"1"}`, `400 {"error":"probability: \"1\" is no number; accepted: a JSON number"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","duration":30,"scope":"some"}`, `400 {"error":"duration: 30 is no text; accepted: a JSON string; scope: \"some\" is not a scope; accepted: all, status"}`},

		{"POST", "/_simulator/sessions/T", `{"outcome":"refused"}`, `200 {"token":"T"`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"error","message":"User refused","error_code":40020}`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"waiting"}`, `200 {"token":"T"`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"waiting"}`},
		{"POST", "/_simulator/reset", "", `200 {"seed":1,"starts":0,`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"error","message":"Session for given token was not found","error_code":40402}`},

		{"GET", "/_simulator/bytes/-1", "", `400 {"error":"\"-1\" is not a number of bytes; accepted: 0 or more"}`},
		{"GET", "/_simulator/elsewhere", "", `404 `},
	} {
		target := strings.ReplaceAll(tt.target, "T", token)
		w := call(sim, tt.method, target, tt.body)
		got := fmt.Sprint(w.Code, " ", strings.ReplaceAll(w.Body.String(), token, "T"))
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s %s %s\n got %s\nwant %s", tt.method, tt.target, tt.body, got, tt.want)
		}
	}
}

func TestControlTellsNoCredential(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	token := start(t, sim, simulator.StartRequest{AccessToken: "a-secret"}).Token
	for _, target := range []string{"/_simulator/stats", "/_simulator/sessions/" + token} {
		if got := call(sim, "GET", target, "").Body.String(); strings.Contains(got, "a-secret") {
			t.Errorf("GET %s tells the credential: %s", target, got)
		}
	}
}

func TestHelpListsEveryFault(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	help := call(sim, "GET", "/_simulator/", "").Body.String()
	for _, mode := range []simulator.Mode{
		simulator.Error500, simulator.Error502, simulator.Transient, simulator.Hang, simulator.Reset, simulator.Drop,
		simulator.Garbage, simulator.HTML, simulator.HalfBody, simulator.WrongLength, simulator.TruncatedChunked,
		simulator.Gzip, simulator.Redirect, simulator.Empty, simulator.Slow, simulator.IdleClose,
	} {
		if !strings.Contains(help, "  "+string(mode)+" ") {
			t.Errorf("the help lacks %s", mode)
		}
	}
}

func TestEcho(t *testing.T) {
	_, url := serve(t, simulator.Config{})
	request, err := http.NewRequest("PATCH", url+"/_simulator/echo/a//b%2Fc/../d?q=%20&q=+", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Add("X-Twice", "1")
	request.Header.Add("X-Twice", "2")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Method  string
		URI     string
		Headers map[string][]string
		Size    int64  `json:"body_size"`
		SHA256  string `json:"body_sha256"`
	}
	if err := json.UnmarshalRead(response.Body, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PATCH" || got.URI != "/_simulator/echo/a//b%2Fc/../d?q=%20&q=+" || len(got.Headers["X-Twice"]) != 2 ||
		got.Size != 5 || got.SHA256 != fmt.Sprintf("%x", sha256.Sum256([]byte("hello"))) {
		t.Errorf("echo %+v", got)
	}
}

func TestBytes(t *testing.T) {
	_, url := serve(t, simulator.Config{})
	response, err := http.Get(url + "/_simulator/bytes/10000000")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); n != 10_000_000 || response.ContentLength != n || err != nil {
		t.Errorf("%d bytes of %d, %v", n, response.ContentLength, err)
	}
}

func TestDocuments(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	var uploaded struct {
		ID     string `json:"document_id"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	}
	w := call(sim, "POST", "/api/document/upload.json", strings.Repeat("x", 100_000))
	if err := json.Unmarshal(w.Body.Bytes(), &uploaded); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Repeat("x", 100_000)))); uploaded.Size != 100_000 || uploaded.SHA256 != want {
		t.Errorf("upload %+v, want 100000 bytes with %s", uploaded, want)
	}
	for _, step := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"POST", "/check-status.json", 200, `{"status":"uploaded"`},
		{"GET", "/check-status.json", 200, `{"status":"uploaded"`},
		{"DELETE", "/remove.json", 200, `{"status":"removed"`},
		{"GET", "/check-status.json", 404, `{"status":"error"`},
		{"DELETE", "/remove.json", 404, `{"status":"error"`},
	} {
		w := call(sim, step.method, "/api/document/"+uploaded.ID+step.path, "")
		if w.Code != step.status || !strings.HasPrefix(w.Body.String(), step.want) {
			t.Errorf("%s %s = %d %s, want %d %s", step.method, step.path, w.Code, w.Body, step.status, step.want)
		}
	}
}
