package simulator_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/simulator"
)

func TestStatusByEndpoint(t *testing.T) {
	sim := newSimulator(t, simulator.Config{FileSize: 1000})
	for _, tt := range []struct {
		endpoint simulator.Endpoint
		path     string
		fields   string
	}{
		{simulator.SmartIDSign, "/smartid/sign/status/", "id file person lists"},
		{simulator.SmartIDSignHash, "/smartid/sign/hash/status/", "id value certificate person"},
		{simulator.SmartIDAuth, "/smartid/status/", "certificate person"},
		{simulator.MobileSign, "/mobile/sign/status/", "id file person lists"},
		{simulator.MobileSignHash, "/mobile/sign-hash/status/", "id value certificate person"},
		{simulator.MobileAuth, "/mobile/status/", "certificate person"},
	} {
		session := start(t, sim, simulator.StartRequest{Endpoint: tt.endpoint, Outcome: simulator.Waiting})
		for _, prefix := range []string{"", "/en"} {
			target := prefix + tt.path + session.Token + ".json"
			ask := func() seen {
				return read(t, call(sim, "POST", target, `{"access_token":"test","token":"`+session.Token+`"}`).Body)
			}
			sim.Finish(session.Token, simulator.Waiting)
			if got := ask(); got.Status != "waiting" {
				t.Errorf("POST %s = %+v, want waiting", target, got)
			}
			sim.Finish(session.Token, simulator.Succeeded)
			got := ask()
			if got.Status != "ok" || fields(got) != tt.fields {
				t.Errorf("POST %s = %s with %s, want ok with %s", target, got.Status, fields(got), tt.fields)
			}
		}
	}
}

func fields(s seen) string {
	var names []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"id", s.SignatureID != ""}, {"value", s.SignatureValue != ""}, {"file", s.File != nil},
		{"certificate", s.Certificate != nil}, {"person", s.Person != nil && s.Person.Surname == "SIGNER"},
		{"lists", s.SanctionsData != nil && s.PepsData != nil},
	} {
		if f.has {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}

func TestSignedFile(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	for _, size := range []simulator.Size{1, 2, 3, 100, 64 << 10, 1<<20 + 1} {
		session := start(t, sim, simulator.StartRequest{FileSize: size})
		first := poll(sim, session.Token)
		if declared := first.Header().Get("Content-Length"); declared != fmt.Sprint(first.Body.Len()) {
			t.Errorf("size %d: Content-Length %s of %d", size, declared, first.Body.Len())
		}
		again := poll(sim, session.Token)
		if !bytes.Equal(first.Body.Bytes(), again.Body.Bytes()) {
			t.Errorf("size %d: two polls differ", size)
		}
		file := read(t, first.Body).File
		digest := sha1.Sum(file.Content)
		if len(file.Content) != int(size) || file.Digest != hex.EncodeToString(digest[:]) || file.Name != "document_signed.pdf" {
			t.Errorf("size %d: file %s of %d bytes, digest %s, want %x", size, file.Name, len(file.Content), file.Digest, digest)
		}
	}
}

func TestCertificateParses(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	session := start(t, sim, simulator.StartRequest{Endpoint: simulator.SmartIDAuth})
	w := call(sim, "POST", "/smartid/status/"+session.Token+".json", `{"access_token":"test"}`)
	certificate, err := x509.ParseCertificate(read(t, w.Body).Certificate.Value)
	if err != nil || certificate.Subject.CommonName != "TEST SIGNER" {
		t.Errorf("certificate = %v, %v; want that of TEST SIGNER", certificate, err)
	}
}

func TestOtherDialects(t *testing.T) {
	sim := newSimulator(t, simulator.Config{FileSize: 10})
	session := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting})
	for _, tt := range []struct{ target, field string }{
		{"/smartid/sign/status/%s.json?access_token=test", ""},
		{"/mobile/sign/status/%s.json?access_token=test", ""},
		{"/audkenniapp/sign/status/%s.json?access_token=test", ""},
		{"/smartid/login/status/%s.json?access_token=test", ""},
		{"/v2/mobile/login/status/%s.json?access_token=test", ""},
		{"/api/v1/smartid/sign/status/%s.json?access_token=test", ""},
		{"/api/v1/mobile/sign/status/%s.json?access_token=test", ""},
		{"/document/%s/check-status", "Authorization: Bearer test"},
	} {
		target := fmt.Sprintf(tt.target, session.Token)
		for _, step := range []struct {
			outcome        simulator.Outcome
			status, nested string
			code           int
		}{
			{simulator.Waiting, "waiting", "pending", 0},
			{simulator.Succeeded, "ok", "signed", 0},
			{simulator.Refused, "error", "failed", 40020},
			{"failed:40403", "error", "failed", 40403},
			{simulator.Forgotten, "error", "failed", 40402},
		} {
			sim.Finish(session.Token, step.outcome)
			got := read(t, call(sim, "GET", target, "", tt.field).Body)
			status, want := got.Status, step.status
			if tt.field != "" {
				status, want = got.Data.DocumentStatus, step.nested
			}
			if status != want || got.ErrorCode != step.code {
				t.Errorf("GET %s of a session %s = %s %d, want %s %d", target, step.outcome, status, got.ErrorCode, want, step.code)
			}
		}
	}
}

func TestStatusRefuses(t *testing.T) {
	sim := newSimulator(t, simulator.Config{AccessTokens: []string{"test", "other"}})
	token := start(t, sim, simulator.StartRequest{}).Token
	for _, tt := range []struct{ method, target, body, want string }{
		{"POST", statusPath(token), `{"access_token":"test"}`, "ok"},
		{"POST", statusPath(token), `{"access_token":"other"}`, "40402"},
		{"POST", statusPath(token), `{"access_token":"nobody's"}`, "40003"},
		{"POST", statusPath(token), `{"ACCESS_TOKEN":"test"}`, "40001"},
		{"POST", statusPath(token), `{"access_token":"other","access_token":"test"}`, "ok"},
		{"POST", statusPath(token), `{"access_token":"test","access_token":"other"}`, "40402"},
		{"POST", statusPath(token), `{}`, "40001"},
		{"POST", statusPath(token), ``, "40001"},
		{"POST", statusPath(token), `["test"]`, "40001"},
		{"POST", statusPath(token), `{"access_token":["test"]}`, "40001"},
		{"POST", statusPath(token) + "?access_token=test", `{}`, "40001"},
		{"POST", statusPath("nobody"), `{"access_token":"test"}`, "40402"},
		{"POST", "/smartid/status/" + token + ".json", `{"access_token":"test"}`, "40402"},
		{"POST", "/mobile/sign/status/" + token + ".json", `{"access_token":"test"}`, "40402"},
		{"GET", "/smartid/sign/status/" + token + ".json", `{"access_token":"test"}`, "40001"},
		{"GET", "/smartid/sign/status/" + token + ".json?access_token=other", ``, "40402"},
	} {
		if got := short(t, call(sim, tt.method, tt.target, tt.body)); got != tt.want {
			t.Errorf("%s %s %s = %s, want %s", tt.method, tt.target, tt.body, got, tt.want)
		}
	}
}

func TestUnknownCalls(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	for _, line := range []string{
		"GET /", "POST /smartid/sign/status/a/b.json", "POST /smartid/sign/status/.json", "POST /smartid/sign/status/a", "GET /smartid/sign.json",
		"PUT /smartid/sign/status/a.json", "GET /smartid/status/a.json", "POST /document/a/check-status", "POST //smartid/sign.json", "GET /_simulator/elsewhere",
	} {
		method, target, _ := strings.Cut(line, " ")
		if w := call(sim, method, target, ""); w.Code != 404 {
			t.Errorf("%s = %d, want 404", line, w.Code)
		}
	}
}

func TestMessagesByLocale(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	for target, want := range map[string]string{
		"/en/smartid/sign/status/x.json": "Session for given token was not found",
		"/smartid/sign/status/x.json":    "Sesija pagal pateiktą raktą nerasta",
	} {
		if got := read(t, call(sim, "POST", target, `{"access_token":"test"}`).Body).Message; got != want {
			t.Errorf("POST %s: message %q, want %q", target, got, want)
		}
	}
}

func TestFailedByCode(t *testing.T) {
	for byCode, want := range map[bool][2]int{false: {200, 200}, true: {408, 404}} {
		sim := newSimulator(t, simulator.Config{FailedByCode: byCode})
		session := start(t, sim, simulator.StartRequest{Outcome: "expired:40801"})
		if got := [2]int{poll(sim, session.Token).Code, poll(sim, "nobody").Code}; got != want {
			t.Errorf("FailedByCode %t: HTTP %d for 40801 and 40402, want %d", byCode, got, want)
		}
	}
}

func TestSessionsEndAndAreForgottenByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{SignAfter: simulator.Fixed(3 * time.Second), ForgetAfter: time.Minute})
		token, began := start(t, sim, simulator.StartRequest{}).Token, time.Now()
		for _, step := range []struct {
			pass time.Duration
			want string
		}{
			{0, "waiting"}, {3*time.Second - 1, "waiting"}, {1, "ok"}, {time.Minute - 1, "ok"}, {1, "40402"}, {time.Hour, "40402"},
		} {
			time.Sleep(step.pass)
			if got := short(t, poll(sim, token)); got != step.want {
				t.Errorf("%v after the start: %s, want %s", time.Since(began), got, step.want)
			}
		}
		// Whoever looks late learns of both.
		late := start(t, sim, simulator.StartRequest{}).Token
		time.Sleep(time.Hour)
		if got, _ := sim.Session(late); got.State != simulator.Forgotten || !got.Ended.Equal(got.Ends) {
			t.Errorf("an hour after the start: %+v, want ended and forgotten", got)
		}
	})
}

func TestOneShot(t *testing.T) {
	sim := newSimulator(t, simulator.Config{OneShot: true})
	for _, outcome := range []simulator.Outcome{simulator.Succeeded, simulator.Refused} {
		token := start(t, sim, simulator.StartRequest{Outcome: outcome}).Token
		wrong := short(t, call(sim, "POST", statusPath(token), `{"access_token":"other"}`)) // uses nothing up
		var answered atomic.Int64
		var polls sync.WaitGroup
		for range 20 {
			polls.Go(func() {
				if !strings.Contains(poll(sim, token).Body.String(), "40402") {
					answered.Add(1)
				}
			})
		}
		polls.Wait()
		if wrong != "40402" || answered.Load() != 1 {
			t.Errorf("%s was answered %d times to 20 polls at once, want once", outcome, answered.Load())
		}
		sim.Finish(token, outcome)
		if got := short(t, poll(sim, token)); got == "40402" {
			t.Errorf("%s again after Finish = %s, want the outcome", outcome, got)
		}
	}
}
