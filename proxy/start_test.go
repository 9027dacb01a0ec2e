package proxy_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

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

func (w *watches) Subject(v *session.Variant) webhook.Subject {
	return webhook.Subject{Session: "ses_" + v.Token, Endpoint: v.Endpoint.Name}
}

func (w *watches) HeaderTarget(value string) (webhook.AttachOptions, error) {
	if !strings.HasPrefix(value, "https://hook.example/") {
		return webhook.AttachOptions{}, &webhook.TargetError{Problem: "evil.example is not one of the hosts"}
	}
	return webhook.AttachOptions{URL: value}, nil
}

func (w *watches) Attach(_ context.Context, s webhook.Subject, o webhook.AttachOptions) (webhook.Subscription, error) {
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
func watching(t testing.TB, url string, dialect string) (*bridge, *watches) {
	w := &watches{}
	return serve(t, url, func(s *settings) {
		s.endpoints, _ = session.Dialect(dialect)
		s.watches, s.webhooks = w, w
	}), w
}

const startAnswer = `{"status":"ok","token":"` + token + `","control_code":"9269"}`

func TestStartedSessionsAreWatched(t *testing.T) {
	t.Parallel()
	type answering func(w http.ResponseWriter)
	plain := func(w http.ResponseWriter) { respond(w, 200, startAnswer) }
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
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		mu.Lock()
		defer mu.Unlock()
		answer(w)
	})
	marksign, inBody := watching(t, rec.url, "marksign")
	dokobit, inQuery := watching(t, rec.url, "dokobit")
	document := strings.Repeat("JVBERi0x", 400<<10)
	small, large := `{"access_token":"sesame-1","type":"pdf","content":"eA=="}`, `{"type":"pdf","content":"`+document+`","access_token":"sesame-1"}`
	for _, test := range []struct {
		name    string
		b       *bridge
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
		a := doFramed(t, test.b.url+test.path, test.body, test.chunked, "Accept-Encoding: gzip")
		if a.err != nil || a.status != 200 || a.header.Get("Content-Encoding") == "" && a.body != startAnswer {
			t.Errorf("%s: answered %d %s, %v", test.name, a.status, a.body, a.err)
		}
		if seen := rec.last(t); seen.body != test.body || seen.target != test.path {
			t.Errorf("%s: the upstream saw %s with %d bytes", test.name, seen.target, len(seen.body))
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
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		mu.Lock()
		defer mu.Unlock()
		respond(w, status, answer)
	})
	b, w := watching(t, rec.url, "marksign")
	large := `{"status":"ok","token":"` + token + `","x":"` + strings.Repeat("y", 100_000) + `"}`
	for _, test := range []struct {
		name, line, body string
		status           int
		answer           string
		fields           []string
	}{
		{"error", "POST /smartid/sign.json", asking("sesame-1"), 200, `{"status":"error","error_code":40003}`, nil},
		{"4xx", "POST /smartid/sign.json", asking("sesame-1"), 400, startAnswer, nil},
		{"no token", "POST /smartid/sign.json", asking("sesame-1"), 200, `{"status":"ok"}`, nil},
		{"large answer", "POST /smartid/sign.json", asking("sesame-1"), 200, large, nil},
		{"no body", "POST /smartid/sign.json", asking("sesame-1"), 204, "", nil},
		{"no credential", "POST /smartid/sign.json", `{}`, 200, startAnswer, nil},
		{"two credentials", "POST /smartid/sign.json", asking("sesame-1"), 200, startAnswer, []string{"Authorization: Bearer sesame-2"}},
		{"another two", "POST /smartid/sign.json?access_token=sesame-2", asking("sesame-1"), 200, startAnswer, nil},
		{"compressed request", "POST /smartid/sign.json", "\x1f\x8b\x08", 200, startAnswer, []string{"Content-Encoding: gzip"}},
		{"another method", "PUT /smartid/sign.json", asking("sesame-1"), 200, startAnswer, nil},
		{"another path", "POST /smartid/sign.jsonx", asking("sesame-1"), 200, startAnswer, nil},
		{"another spelling", "POST /smartid/s%69gn.json", asking("sesame-1"), 200, startAnswer, nil},
	} {
		mu.Lock()
		status, answer = test.status, test.answer
		mu.Unlock()
		method, path, _ := strings.Cut(test.line, " ")
		a := do(t, method, b.url+path, test.body, test.fields...)
		if a.err != nil || a.status != test.status || a.body != test.answer {
			t.Errorf("%s: answered %d with %d bytes, %v", test.name, a.status, len(a.body), a.err)
		}
		if _, steps := w.take(); len(steps) != 0 {
			t.Errorf("%s: %v", test.name, steps)
		}
	}
}

// TestStartsAreAnsweredWhateverBecomesOfTheWatch: the signing is under way.
func TestStartsAreAnsweredWhateverBecomesOfTheWatch(t *testing.T) {
	t.Parallel()
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) { respond(w, 200, startAnswer) })
	b, w := watching(t, rec.url, "marksign")
	w.failWith(errors.New("the store is in trouble"))
	for _, fields := range [][]string{nil, {"Pollbridge-Webhook: https://hook.example/x"}} {
		a := do(t, "POST", b.url+"/smartid/sign.json", asking("sesame-1"), fields...)
		if a.status != 200 || a.body != startAnswer {
			t.Errorf("answered %d %s", a.status, a.body)
		}
		if _, steps := w.take(); len(steps) != 1 {
			t.Errorf("%v", steps)
		}
	}
	if n := strings.Count(b.log.String(), "a session that was started is not watched"); n != 2 {
		t.Errorf("the log says so %d times, want 2", n)
	}
}

func TestWebhooksNamedByRequests(t *testing.T) {
	t.Parallel()
	rec := record(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if strings.HasSuffix(r.URL.Path, "sign.json") {
			respond(w, 200, startAnswer)
			return
		}
		if strings.Contains(r.URL.Path, "madeup") {
			respond(w, 200, `{"status":"error","message":"no","error_code":40402}`)
			return
		}
		respond(w, 200, waiting)
	})
	b, w := watching(t, rec.url, "marksign")
	off := serve(t, rec.url)
	const good = "Pollbridge-Webhook: https://hook.example/x?y=1"
	attached := "attach ses_" + token + " https://hook.example/x?y=1"
	for _, test := range []struct {
		name       string
		b          *bridge
		path, body string
		fields     []string
		status     int
		message    string
		steps      string
	}{
		{"status", b, statusPath(token), asking("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		{"status again, from memory", b, statusPath(token), asking("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		{"start", b, "/smartid/sign.json", asking("sesame-1"), []string{good}, 200, "", attached + ",watch " + token},
		{"held, from memory", b, statusPath(token), asking("sesame-1"), []string{good, "Prefer: wait=1"}, 200, "waiting", attached + ",watch " + token},
		{"a token that nobody knows", b, statusPath("madeup"), asking("sesame-1"), []string{good}, 200, "40402", ""},
		{"anything else", b, "/x", "x", []string{good}, 200, "", ""},
		{"a host that is not listed", b, statusPath(token), asking("sesame-1"), []string{"Pollbridge-Webhook: https://evil.example/"}, 403, "evil.example is not one of the hosts", ""},
		{"a start, not listed", b, "/smartid/sign.json", asking("sesame-1"), []string{"Pollbridge-Webhook: https://evil.example/"}, 403, "evil.example is not one of the hosts", ""},
		{"no URL", b, statusPath(token), asking("sesame-1"), []string{"Pollbridge-Webhook: hook"}, 400, "want one URL", ""},
		{"empty", b, statusPath(token), asking("sesame-1"), []string{"Pollbridge-Webhook: "}, 400, "want one URL", ""},
		{"not ASCII", b, statusPath(token), asking("sesame-1"), []string{"Pollbridge-Webhook: https://hook.example/ą"}, 400, "want one URL", ""},
		{"two", b, statusPath(token), asking("sesame-1"), []string{good, good}, 400, "want one URL", ""},
		{"another scheme", b, "/smartid/sign.json", asking("sesame-1"), []string{"Pollbridge-Webhook: ftp://hook.example/"}, 400, "want one URL", ""},
		{"no credential", b, statusPath(token), `{}`, []string{good}, 400, "exactly one credential", ""},
		{"off, status", off, statusPath(token), asking("sesame-1"), []string{good}, 403, "not configured", ""},
		{"off, start", off, "/smartid/sign.json", asking("sesame-1"), []string{good}, 403, "not configured", ""},
	} {
		rec.reset()
		a := do(t, "POST", test.b.url+test.path, test.body, test.fields...)
		if a.err != nil || a.status != test.status || !strings.Contains(a.body, test.message) {
			t.Errorf("%s: answered %d %s, %v; want %d %s", test.name, a.status, a.body, a.err, test.status, test.message)
		}
		if test.status != 200 {
			wantUpstreamForm(t, a)
			if n := rec.count(); n != 0 {
				t.Errorf("%s: the upstream saw %d requests", test.name, n)
			}
		}
		if _, steps := w.take(); strings.Join(steps, ",") != test.steps {
			t.Errorf("%s: %v; want %s", test.name, steps, test.steps)
		}
		if strings.Contains(strings.ToLower(rec.bytes()), "pollbridge-webhook") {
			t.Errorf("%s: the upstream saw the header", test.name)
		}
	}

	w.failWith(errors.New("the store is in trouble"))
	a := do(t, "POST", b.url+statusPath(token), asking("sesame-1"), good)
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "could not be registered") {
		t.Errorf("a webhook that cannot be registered: %d %s", a.status, a.body)
	}
	wantUpstreamForm(t, a)
	w.failWith(&webhook.FieldError{Field: "session", Problem: "has as many webhooks as it may have"})
	a = do(t, "POST", b.url+statusPath(token), asking("sesame-1"), good)
	if a.status != 400 || a.header.Get("Retry-After") != "" || !strings.Contains(a.body, "as many webhooks as it may have") {
		t.Errorf("a webhook that will never be registered: %d %s", a.status, a.body)
	}
	wantUpstreamForm(t, a)
}

// wantUpstreamForm wants an error that clients of the upstream understand.
func wantUpstreamForm(t *testing.T, a answer) {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	format := endpoints[0].Answer
	if _, err := format.Read(200, []byte(a.body)); err != nil && !errors.Is(err, session.ErrTransient) || !strings.HasPrefix(a.body, `{"status":"error","message":"`) {
		t.Errorf("%s is not in the upstream's form: %v", a.body, err)
	}
}

var _ proxy.Watches = (*watch.Watcher)(nil)
var _ proxy.Webhooks = (*webhook.Service)(nil)
