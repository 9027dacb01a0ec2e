package proxy_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// watches remembers what it is told.
type watches struct {
	mu      sync.Mutex
	started []*session.Variant // guarded by mu, as all below
	steps   []string
	err     error
}

func (w *watches) Started(_ context.Context, v *session.Variant) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = append(w.started, v)
	w.steps = append(w.steps, "started")
	return w.err
}

func (w *watches) Watch(_ context.Context, v *session.Variant) (watch.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, "watch "+v.Token)
	return watch.Session{}, w.err
}

func (w *watches) Subject(v *session.Variant) event.Subject {
	return event.Subject{Session: "ses_" + v.Token, Endpoint: v.Endpoint.Name}
}

func (w *watches) HeaderTarget(value string) (webhook.AttachOptions, error) {
	if !strings.HasPrefix(value, "https://hook.example/") {
		return webhook.AttachOptions{}, &webhook.TargetError{Problem: "evil.example is not one of the hosts"}
	}
	return webhook.AttachOptions{URL: value}, nil
}

func (w *watches) Attach(_ context.Context, s event.Subject, o webhook.AttachOptions) (webhook.Subscription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, "attach "+s.Session+" "+o.URL)
	return webhook.Subscription{}, w.err
}

func (w *watches) take() ([]*session.Variant, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	started, steps := w.started, w.steps
	w.started, w.steps = nil, nil
	return started, steps
}

func (w *watches) failWith(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// watching serves a bridge that has watches.
func watching(t testing.TB, url string, dialect string) (*bridge.Bridge, *watches) {
	w := &watches{}
	return bridge.Start(t, url, func(s *bridge.Settings) {
		s.Endpoints, _ = session.Dialect(dialect)
		s.Watches, s.Webhooks = w, w
	}), w
}

const startAnswer = `{"status":"ok","token":"` + token + `","control_code":"9269"}`

func TestStartedSessionsAreWatched(t *testing.T) {
	t.Parallel()
	type answering func(w http.ResponseWriter)
	plain := func(w http.ResponseWriter) { testkit.Respond(w, 200, startAnswer) }
	chunked := func(w http.ResponseWriter) {
		io.WriteString(w, startAnswer[:9])
		w.(http.Flusher).Flush()
		io.WriteString(w, startAnswer[9:])
	}
	compressed := func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, startAnswer)
		z.Close()
	}
	var mu sync.Mutex
	answer := answering(plain)
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		mu.Lock()
		defer mu.Unlock()
		answer(w)
	})
	marksign, inBody := watching(t, rec.URL, "marksign")
	dokobit, inQuery := watching(t, rec.URL, "dokobit")
	document := strings.Repeat("JVBERi0x", 400<<10)
	small, large := `{"access_token":"sesame-1","type":"pdf","content":"eA=="}`, `{"type":"pdf","content":"`+document+`","access_token":"sesame-1"}`
	for _, test := range []struct {
		name    string
		b       *bridge.Bridge
		w       *watches
		path    string
		body    string
		chunked bool
		answer  answering
		want    string // endpoint and locale
	}{
		{"small", marksign, inBody, "/smartid/sign.json", small, false, plain, "smartid-sign lt"},
		{"small, chunked", marksign, inBody, "/en/mobile/sign/hash.json", small, true, chunked, "mobile-sign-hash en"},
		{"large", marksign, inBody, "/en/smartid/sign.json", large, false, plain, "smartid-sign en"},
		{"large, chunked", marksign, inBody, "/mobile/login.json", large, true, chunked, "mobile-auth lt"},
		{"compressed answer", marksign, inBody, "/smartid/login.json", small, false, compressed, "smartid-auth lt"},
		{"in the query", dokobit, inQuery, "/audkenniapp/sign.json?access_token=sesame-1", document, false, plain, "audkenniapp-sign "},
		{"in the query, form", dokobit, inQuery, "/mobile/sign.json?access_token=sesame-1&x=1", "phone=1", true, chunked, "mobile-sign "},
	} {
		mu.Lock()
		answer = test.answer
		mu.Unlock()
		a := doFramed(t, test.b.URL+test.path, test.body, test.chunked, "Accept-Encoding: gzip")
		if a.Err != nil || a.Status != 200 || a.Header.Get("Content-Encoding") == "" && a.Body != startAnswer {
			t.Errorf("%s: answered %d %s, %v", test.name, a.Status, a.Body, a.Err)
		}
		if seen := rec.Last(t); seen.Body != test.body || seen.Target != test.path {
			t.Errorf("%s: the upstream saw %s with %d bytes", test.name, seen.Target, len(seen.Body))
		}
		started, _ := test.w.take()
		if len(started) != 1 {
			t.Errorf("%s: %d sessions are watched when the answer is there, want 1", test.name, len(started))
			continue
		}
		v := started[0]
		if got := v.Endpoint.Name + " " + v.Endpoint.Locales[v.Locale].Name; got != test.want || v.Token != token || v.Credential != "sesame-1" {
			t.Errorf("%s: watched is %s, want %s", test.name, got, test.want)
		}
	}
}

func TestStartsThatBeginNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	status, answer := 200, startAnswer
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		mu.Lock()
		defer mu.Unlock()
		testkit.Respond(w, status, answer)
	})
	b, w := watching(t, rec.URL, "marksign")
	large := `{"status":"ok","token":"` + token + `","x":"` + strings.Repeat("y", 100_000) + `"}`
	for _, test := range []struct {
		name, line, body string
		status           int
		answer           string
		fields           []string
	}{
		{"error", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 200, `{"status":"error","error_code":40003}`, nil},
		{"4xx", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 400, startAnswer, nil},
		{"no token", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 200, `{"status":"ok"}`, nil},
		{"large answer", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 200, large, nil},
		{"no body", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 204, "", nil},
		{"no credential", "POST /smartid/sign.json", `{}`, 200, startAnswer, nil},
		{"two credentials", "POST /smartid/sign.json", bridge.StatusBody("sesame-1"), 200, startAnswer, []string{"Authorization: Bearer sesame-2"}},
		{"another two", "POST /smartid/sign.json?access_token=sesame-2", bridge.StatusBody("sesame-1"), 200, startAnswer, nil},
		{"compressed request", "POST /smartid/sign.json", "\x1f\x8b\x08", 200, startAnswer, []string{"Content-Encoding: gzip"}},
		{"another method", "PUT /smartid/sign.json", bridge.StatusBody("sesame-1"), 200, startAnswer, nil},
		{"another path", "POST /smartid/sign.jsonx", bridge.StatusBody("sesame-1"), 200, startAnswer, nil},
		{"another spelling", "POST /smartid/s%69gn.json", bridge.StatusBody("sesame-1"), 200, startAnswer, nil},
	} {
		mu.Lock()
		status, answer = test.status, test.answer
		mu.Unlock()
		method, path, _ := strings.Cut(test.line, " ")
		a := testkit.Do(t, method, b.URL+path, test.body, test.fields...)
		if a.Err != nil || a.Status != test.status || a.Body != test.answer {
			t.Errorf("%s: answered %d with %d bytes, %v", test.name, a.Status, len(a.Body), a.Err)
		}
		if _, steps := w.take(); len(steps) != 0 {
			t.Errorf("%s: %v", test.name, steps)
		}
	}
}

// TestStartsAreAnsweredWhateverBecomesOfTheWatch: the signing is under way.
func TestStartsAreAnsweredWhateverBecomesOfTheWatch(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) { testkit.Respond(w, 200, startAnswer) })
	b, w := watching(t, rec.URL, "marksign")
	w.failWith(errors.New("the store is in trouble"))
	for _, fields := range [][]string{nil, {"Pollbridge-Webhook: https://hook.example/x"}} {
		a := testkit.Do(t, "POST", b.URL+"/smartid/sign.json", bridge.StatusBody("sesame-1"), fields...)
		if a.Status != 200 || a.Body != startAnswer {
			t.Errorf("answered %d %s", a.Status, a.Body)
		}
		if _, steps := w.take(); len(steps) != 1 {
			t.Errorf("%v", steps)
		}
	}
	if n := strings.Count(b.Log.String(), "a session that was started is not watched"); n != 2 {
		t.Errorf("the log says so %d times, want 2", n)
	}
}

func TestWebhooksNamedByRequests(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if strings.HasSuffix(r.URL.Path, "sign.json") {
			testkit.Respond(w, 200, startAnswer)
			return
		}
		if strings.Contains(r.URL.Path, "madeup") {
			testkit.Respond(w, 200, `{"status":"error","message":"no","error_code":40402}`)
			return
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b, w := watching(t, rec.URL, "marksign")
	off := bridge.Start(t, rec.URL)
	const good = "Pollbridge-Webhook: https://hook.example/x?y=1"
	attached := "attach ses_" + token + " https://hook.example/x?y=1"
	for _, test := range []struct {
		name       string
		b          *bridge.Bridge
		path, body string
		fields     []string
		status     int
		message    string
		steps      string
	}{
		{"status", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		{"status again, from memory", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		{"start", b, "/smartid/sign.json", bridge.StatusBody("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		// Of a session of its own, which may be refreshed once more after the hold.
		{"before a hold", b, bridge.StatusPath("held"), bridge.StatusBody("sesame-1"), nil, 200, "waiting", ""},
		{"held, from memory", b, bridge.StatusPath("held"), bridge.StatusBody("sesame-1"), []string{good, "Prefer: wait=1"}, 200, "waiting", "attach ses_held https://hook.example/x?y=1,watch held"},
		{"a token that nobody knows", b, bridge.StatusPath("madeup"), bridge.StatusBody("sesame-1"), []string{good}, 200, "40402", ""},
		{"anything else", b, "/x", "x", []string{good}, 200, "", ""},
		{"a host that is not listed", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: https://evil.example/"}, 403, "evil.example is not one of the hosts", ""},
		{"a start, not listed", b, "/smartid/sign.json", bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: https://evil.example/"}, 403, "evil.example is not one of the hosts", ""},
		{"no URL", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: hook"}, 400, "want one URL", ""},
		{"empty", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: "}, 400, "want one URL", ""},
		{"not ASCII", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: https://hook.example/ą"}, 400, "want one URL", ""},
		{"two", b, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{good, good}, 400, "want one URL", ""},
		{"another scheme", b, "/smartid/sign.json", bridge.StatusBody("sesame-1"), []string{"Pollbridge-Webhook: ftp://hook.example/"}, 400, "want one URL", ""},
		{"no credential", b, bridge.StatusPath(token), `{}`, []string{good}, 400, "exactly one credential", ""},
		{"off, status", off, bridge.StatusPath(token), bridge.StatusBody("sesame-1"), []string{good}, 403, "not configured", ""},
		{"off, start", off, "/smartid/sign.json", bridge.StatusBody("sesame-1"), []string{good}, 403, "not configured", ""},
	} {
		rec.Reset()
		a := testkit.Do(t, "POST", test.b.URL+test.path, test.body, test.fields...)
		if a.Err != nil || a.Status != test.status || !strings.Contains(a.Body, test.message) {
			t.Errorf("%s: answered %d %s, %v; want %d %s", test.name, a.Status, a.Body, a.Err, test.status, test.message)
		}
		if test.status != 200 {
			wantUpstreamForm(t, a)
			if slices.ContainsFunc(rec.Requests(), func(r testkit.Request) bool { return r.Target == test.path }) {
				t.Errorf("%s: the upstream saw it", test.name)
			}
		}
		if _, steps := w.take(); strings.Join(steps, ",") != test.steps {
			t.Errorf("%s: %v; want %s", test.name, steps, test.steps)
		}
		if strings.Contains(strings.ToLower(rec.Raw()), "pollbridge-webhook") {
			t.Errorf("%s: the upstream saw the header", test.name)
		}
	}

	w.failWith(errors.New("the store is in trouble"))
	a := testkit.Do(t, "POST", b.URL+bridge.StatusPath(token), bridge.StatusBody("sesame-1"), good)
	if a.Status != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "could not be registered") {
		t.Errorf("a webhook that cannot be registered: %d %s", a.Status, a.Body)
	}
	wantUpstreamForm(t, a)
	w.failWith(&webhook.FieldError{Field: "session", Problem: "has as many webhooks as it may have"})
	a = testkit.Do(t, "POST", b.URL+bridge.StatusPath(token), bridge.StatusBody("sesame-1"), good)
	if a.Status != 400 || a.Header.Get("Retry-After") != "" || !strings.Contains(a.Body, "as many webhooks as it may have") {
		t.Errorf("a webhook that will never be registered: %d %s", a.Status, a.Body)
	}
	wantUpstreamForm(t, a)
}

// wantUpstreamForm wants an error that clients of the upstream understand.
func wantUpstreamForm(t *testing.T, a testkit.Answer) {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	format := endpoints[0].Answer
	if _, err := format.Read(200, []byte(a.Body)); err != nil && !errors.Is(err, session.ErrTransient) || !strings.HasPrefix(a.Body, `{"status":"error","message":"`) {
		t.Errorf("%s is not in the upstream's form: %v", a.Body, err)
	}
}

var _ proxy.Watches = (*watch.Watcher)(nil)
var _ proxy.Webhooks = (*webhook.Service)(nil)
