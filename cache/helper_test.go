package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	lt = 0 // locales of the marksign dialect
	en = 1
)

var (
	errDown    = errors.New("the upstream is down")
	errNotSent = notSent{errors.New("the circuit is open")}
)

var discard = slog.New(slog.DiscardHandler)

// notSent is an error that says that the upstream was not asked.
type notSent struct{ error }

func (notSent) NotSent() bool { return true }

// question makes the variant that asks for a token in a locale.
func question(t testing.TB, token string, locale int) *session.Variant {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	return questionAt(t, endpoints[0], token, locale)
}

// inThreeLocales makes the variants that ask for one token in each of three.
func inThreeLocales(t testing.TB, token string) [3]*session.Variant {
	t.Helper()
	endpoint, err := session.NewEndpoint(session.EndpointConfig{
		Name: "sign", Method: "POST", Path: "/sign/{token}", Credential: "body:access_token",
		Locales: map[string]string{"a": "/a", "b": "/b", "c": "/c"},
		Pending: []string{"waiting"}, Succeeded: []string{"ok"}, Failed: []string{"error"},
	})
	if err != nil {
		t.Fatal(err)
	}
	v := questionAt(t, endpoint, token, 0)
	return [3]*session.Variant{v, v.In(1), v.In(2)}
}

func questionAt(t testing.TB, endpoint session.Endpoint, token string, locale int) *session.Variant {
	t.Helper()
	table, err := session.NewTable([]session.Endpoint{endpoint})
	if err != nil {
		t.Fatal(err)
	}
	path := table.Endpoints()[0].Path(locale, token)
	match, ok := table.Match([]byte(endpoint.Method), []byte(path))
	var r session.Request
	if !ok || !r.Read(match, session.Incoming{Body: []byte(`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`)}) {
		t.Fatalf("%s is no status request", path)
	}
	return r.Variant()
}

// said is an answer of the upstream.
func said(state session.State, body string) *session.Observation {
	return &session.Observation{
		Answer:  session.Answer{State: state},
		Content: &session.Content{Status: 200, Body: []byte(body)},
	}
}

// localized is an answer that holds a text for people.
func localized(state session.State, body string) *session.Observation {
	o := said(state, body)
	o.Localized = true
	return o
}

func pending() *session.Observation  { return said(session.Pending, `{"status":"waiting"}`) }
func signed() *session.Observation   { return said(session.Succeeded, `{"status":"ok"}`) }
func notFound() *session.Observation { return localized(session.NotFound, "not found") }

// poller is an upstream that a test directs.
type poller struct {
	takes  time.Duration
	answer func(n int, v *session.Variant) (*session.Observation, error) // n counts from 1

	mu             sync.Mutex
	polls          []time.Time // guarded by mu, as all below
	inFlight, most int
}

// always answers the same.
func always(o func() *session.Observation) *poller {
	return &poller{answer: func(int, *session.Variant) (*session.Observation, error) { return o(), nil }}
}

// inTurn answers one after the other, and the last one again and again. An error
// is an answer too.
func inTurn(answers ...any) *poller {
	return &poller{answer: func(n int, _ *session.Variant) (*session.Observation, error) {
		switch a := answers[min(n, len(answers))-1].(type) {
		case error:
			return nil, a
		case *session.Observation:
			fresh := *a
			return &fresh, nil
		default:
			panic(a)
		}
	}}
}

func (p *poller) Poll(_ context.Context, v *session.Variant, _ session.PollOptions) (*session.Observation, error) {
	p.mu.Lock()
	p.polls = append(p.polls, time.Now())
	n := len(p.polls)
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.inFlight--
		p.mu.Unlock()
	}()
	if p.takes > 0 {
		time.Sleep(p.takes)
	}
	o, err := p.answer(n, v)
	if o != nil {
		o.Locale = int32(v.Locale)
		if o.At.IsZero() {
			o.At = time.Now()
		}
	}
	return o, err
}

func (p *poller) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.polls)
}

func (p *poller) mostAtOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// finals is a Finals that remembers what it was asked and can fail.
type finals struct {
	cache.Finals
	fail error
	hook func(*session.Observation)

	mu   sync.Mutex
	kept []*session.Observation
}

func newFinals() *finals { return &finals{Finals: &testkit.Finals{Retain: time.Hour}} }

func (f *finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if f.hook != nil {
		f.hook(o)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.kept = append(f.kept, o)
	return f.Finals.Keep(ctx, v, o)
}

func (f *finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	return f.Finals.Load(ctx, v)
}

func (f *finals) Other(ctx context.Context, v *session.Variant) (*session.Observation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.Finals.Other(ctx, v)
}

// set says whether what is asked from now on fails.
func (f *finals) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *finals) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.kept)
}

// config is the default for a small machine.
func config() cache.Config {
	c := cache.DefaultConfig()
	c.MaxSize = 8 << 20
	return c
}

// newStatuses makes a cache in front of p that ends with the test.
func newStatuses(t testing.TB, cfg cache.Config, p cache.Poller, change ...func(*cache.Options)) *cache.Statuses {
	t.Helper()
	o := cache.Options{Poller: p, Finals: newFinals(), Log: discard}
	for _, f := range change {
		f(&o)
	}
	s, err := cache.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func with(f cache.Finals) func(*cache.Options) { return func(o *cache.Options) { o.Finals = f } }

// get asks the way the proxy does.
func get(ctx context.Context, s *cache.Statuses, v *session.Variant) (cache.Result, error) {
	if r, ok := s.Fresh([]byte(v.Key()), v.Locale); ok {
		return r, nil
	}
	return s.Get(ctx, v)
}

// want asks and compares the answer with a state and a body.
func want(t testing.TB, s *cache.Statuses, v *session.Variant, state session.State, body string) cache.Result {
	t.Helper()
	r, err := get(t.Context(), s, v)
	if err != nil {
		t.Errorf("Get in locale %d = %v; want %s", v.Locale, err, state)
		return r
	}
	if r.State != state || string(r.Body) != body {
		t.Errorf("Get in locale %d = %s %s; want %s %s", v.Locale, r.State, r.Body, state, body)
	}
	return r
}

func wantPolls(t testing.TB, p *poller, n int) {
	t.Helper()
	if got := p.count(); got != n {
		t.Errorf("the upstream was asked %d times; want %d", got, n)
	}
}

func describe(r cache.Result, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%s %q (%s)", r.State, r.Body, r.How)
}

// pollFunc is a Poller that is one function.
type pollFunc func(*session.Variant) (*session.Observation, error)

func (f pollFunc) Poll(_ context.Context, v *session.Variant, _ session.PollOptions) (*session.Observation, error) {
	return f(v)
}

// blocked waits until a goroutine waits for a mutex below a function.
func blocked(t testing.TB, function string) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for start := time.Now(); time.Since(start) < 10*time.Second; runtime.Gosched() {
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, function) && strings.Contains(stack, "[sync.Mutex.Lock") {
				return
			}
		}
	}
	t.Fatalf("nothing is blocked in %s", function)
}
