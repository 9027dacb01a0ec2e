package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"pollbridge/simulator"
)

// Each line is one exchange: what is sent, and what the answer begins with. T
// stands for the token of a session.
func TestControlCalls(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Seed: 1})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	for _, tt := range []struct{ method, target, body, want string }{
		{"GET", "/_simulator/", "", "200 # The simulated signing API"},
		{"GET", "/_simulator/stats", "", `200 {"seed":1,"starts":1,`},
		{"GET", "/_simulator/sessions/T", "", `200 {"token":"T","endpoint":"smartid-sign",`},
		{"GET", "/_simulator/sessions/nobody", "", `404 {"error":"no session has this token"}`},
		{"POST", "/_simulator/sessions/nobody", `{"outcome":"refused"}`, `404 {"error":"no session has this token"}`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"won"}`, `400 {"error":"simulator: finish: outcome: \"won\" is not an outcome; accepted: succeeded, refused, expired, failed, forgotten or waiting`},
		{"POST", "/_simulator/sessions/T", `{"outcome":1}`, `400 {"error":"the body cannot be read: `},
		{"POST", "/_simulator/sessions/T", `{"result":"won"}`, `400 {"error":"the body cannot be read: `},
		{"POST", "/_simulator/sessions/T", ``, `400 {"error":"the body cannot be read: `},
		{"POST", "/_simulator/sessions/T", `null`, `400 {"error":"simulator: finish: outcome: \"\" is not`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"refused","outcome":"failed"}`, `400 {"error":"the body cannot be read: `},

		{"GET", "/_simulator/fault", "", `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":0.5,"duration":"30s"}`, `200 {"duration":"30s","mode":"hang","probability":"0.5"}`},
		{"GET", "/_simulator/fault", "", `200 {"duration":"30s","mode":"hang",`},
		{"PUT", "/_simulator/fault", `{"mode":"error429","retry_after":"8s","scope":"status","token":"T","pace":"1s"}`, `200 {"mode":"error429","pace":"1s","retry_after":"8s","scope":"status","token":"T"}`},
		{"DELETE", "/_simulator/fault", "", `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"none"}`, `200 {"mode":"none"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hnag"}`, `400 {"error":"mode: \"hnag\" is not a fault; accepted: none, error400 to error599, drop, empty,`},
		{"PUT", "/_simulator/fault", `{"mode":""}`, `400 {"error":"mode: \"\" is not a fault;`},
		{"PUT", "/_simulator/fault", `{"Mode":"hang"}`, `400 {"error":"mode: it is missing; \"Mode\" is not an option of faults; accepted: probability, duration, scope, token, retry_after, pace"}`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":0}`, `400 {"error":"probability: \"0\" is out of range; accepted: a probability above 0`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","probability":"2"}`, `400 {"error":"simulator: fault: probability: 2 is out of range`},
		{"PUT", "/_simulator/fault", `{"mode":"hang","duration":30,"scope":"some"}`, `400 {"error":"duration: \"30\" is out of range; accepted: a probability above 0 and at most 1, or a duration such as 30s; scope: \"some\" is not a scope; accepted: all, status"}`},

		{"POST", "/_simulator/sessions/T", `{"outcome":"refused"}`, `200 {"token":"T"`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"error","message":"User refused","error_code":40020}`},
		{"POST", "/_simulator/sessions/T", `{"outcome":"waiting"}`, `200 {"token":"T"`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"waiting"}`},
		{"POST", "/_simulator/reset", "", `200 {"seed":1,"starts":0,`},
		{"POST", "/en/smartid/sign/status/T.json", `{"access_token":"test"}`, `200 {"status":"error","message":"Session for given token was not found","error_code":40402}`},
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
		simulator.Transient, simulator.Hang, simulator.Reset, simulator.Drop, simulator.Garbage, simulator.HTML, simulator.HalfBody,
		simulator.WrongLength, simulator.TruncatedChunked, simulator.Gzip, simulator.HTTP10, simulator.Redirect, simulator.Empty, simulator.Slow,
		simulator.IdleClose, "error400",
	} {
		if !strings.Contains(help, "| `"+string(mode)+"` ") {
			t.Errorf("the help lacks %s", mode)
		}
	}
}
