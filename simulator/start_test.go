package simulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"pollbridge/simulator"
)

const smartID = `"type":"pdf","country":"LT","code":"50001010006"`
const mobile = `"type":"pdf","phone":"+37060000666","code":"50001010006"`

func TestStartCalls(t *testing.T) {
	sim := newSimulator(t, simulator.Config{AccessTokens: []string{"test", "other"}})
	for _, tt := range []struct {
		target, body, want string
	}{
		{"/smartid/sign.json", `{"access_token":"test",` + smartID + `}`, "smartid-sign"},
		{"/en/smartid/sign.json", `{"access_token":"other",` + smartID + `,"more":{"a":[1]}}`, "smartid-sign"},
		{"/smartid/sign/hash.json", `{"access_token":"test",` + smartID + `}`, "smartid-sign-hash"},
		{"/smartid/login.json", `{"access_token":"test",` + smartID + `}`, "smartid-auth"},
		{"/mobile/sign.json", `{"access_token":"test",` + mobile + `}`, "mobile-sign"},
		{"/en/mobile/sign/hash.json", `{"access_token":"test",` + mobile + `}`, "mobile-sign-hash"},
		{"/mobile/login.json", `{"access_token":"test",` + mobile + `}`, "mobile-auth"},
		{"/smartid/sign.json?access_token=test", `{` + smartID + `}`, "smartid-sign"},

		{"/en/smartid/sign.json", `{}`, "40001 Some request parameters are invalid: access_token, country, code, type"},
		{"/mobile/login.json", `{"access_token":"test"}`, "40001 Neteisingi užklausos parametrai: phone, code"},
		{"/en/smartid/sign.json", `nonsense`, "40001 Some request parameters are invalid: JSON"},
		{"/en/smartid/sign.json", `{} {}`, "40001 Some request parameters are invalid: JSON"},
		{"/en/smartid/login.json", `{"access_token":"test","country":"LT","code":5}`, "40001 Some request parameters are invalid: code"},
		{"/en/smartid/login.json", `{"access_token":"test","access_token":"other","country":"LT","code":"50001010006"}`, "40001 Some request parameters are invalid: access_token"},
		{"/en/smartid/login.json", `{"access_token":"test","country":"Latvia","code":"50001010006"}`, "40001 Some request parameters are invalid"},
		{"/en/smartid/sign.json", `{"access_token":"wrong",` + smartID + `}`, "40003 Invalid access token"},
		{"/mobile/sign.json", `{"access_token":"test","type":"pdf","phone":"call me","code":"50001010006"}`, "40004 Neteisingas telefono numerio formatas"},
		{"/en/smartid/login.json", `{"access_token":"test","country":"LT","code":"x"}`, "40005 Person code has an incorrect format"},
	} {
		answer := read(t, call(sim, "POST", tt.target, tt.body).Body)
		got := fmt.Sprint(answer.ErrorCode, " ", answer.Message)
		if answer.Status == "ok" {
			session, _ := sim.Session(answer.Token)
			got = string(session.Endpoint)
		}
		if got != tt.want {
			t.Errorf("POST %s %s = %s, want %s", tt.target, tt.body, got, tt.want)
		}
	}
	if got := sim.Stats().Starts; got != 8 {
		t.Errorf("%d starts, want 8", got)
	}
}

func TestStartAnswer(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	w := call(sim, "POST", "/smartid/sign.json", `{`+smartID+`}`, "Authorization: Bearer test")
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q, want application/json alone", got)
	}
	form := regexp.MustCompile(`^\{"status":"ok","token":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","control_code":"[0-9]{4}"\}$`)
	if !form.MatchString(w.Body.String()) {
		t.Errorf("answer %s, want the form %s", w.Body, form)
	}
}

func TestStartWithoutACredential(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	answer := read(t, call(sim, "POST", "/en/smartid/sign.json", `{`+smartID+`}`, "Authorization: Bearer ").Body)
	if want := "Some request parameters are invalid: access_token"; answer.ErrorCode != 40001 || answer.Message != want {
		t.Errorf("it is answered %d %s, want 40001 %s", answer.ErrorCode, answer.Message, want)
	}
}

func TestStartThatIsCutOff(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, httptest.NewRequest("POST", "/en/smartid/sign.json", iotest.ErrReader(io.ErrUnexpectedEOF)))
	if answer := read(t, w.Body); answer.ErrorCode != 40001 || !strings.HasSuffix(answer.Message, ": body") {
		t.Errorf("it is answered %+v, want 40001 for its body", answer)
	}
}

func TestStartReadsPastTheDocument(t *testing.T) {
	_, url := serve(t, simulator.Config{})
	document := io.LimitReader(letters{}, 30<<20)
	body := io.MultiReader(strings.NewReader(`{"file":{"content":"`), document, strings.NewReader(`"},"access_token":"test",`+smartID+`}`))
	response, err := http.Post(url+"/smartid/sign.json", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer := read(t, response.Body); answer.Status != "ok" {
		t.Errorf("a start with a document of 30 MiB is answered %+v", answer)
	}
}

// letters never ends.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func TestStartWithoutHTTP(t *testing.T) {
	sim := newSimulator(t, simulator.Config{AccessTokens: []string{"test"}})
	_, err := sim.Start(simulator.StartRequest{AccessToken: "x", Endpoint: "fax", Outcome: "won", SignAfter: -1, FileSize: -1})
	for _, want := range []string{"AccessToken: it is empty", `Endpoint: "fax"`, `Outcome: "won"`, "SignAfter: -1ns", "FileSize: -1 is"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start error = %v, want %q in it", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "test") {
		t.Errorf("Start error tells a credential: %v", err)
	}
}

func FuzzStartBody(f *testing.F) {
	f.Add([]byte(`{"access_token":"test",` + smartID + `}`))
	f.Add([]byte(`{"a":"\u0105\"`))
	f.Add([]byte("[\"\xff\\\"]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		sim := newSimulator(t, simulator.Config{})
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, httptest.NewRequest("POST", "/smartid/sign.json", strings.NewReader(string(body))))
		if answer := read(t, w.Body); answer.Status != "ok" && answer.ErrorCode == 0 {
			t.Errorf("%q is answered %+v", body, answer)
		}
	})
}
