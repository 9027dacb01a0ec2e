package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
)

func TestMain(m *testing.M) {
	testkit.Together(6)
	goleak.VerifyTestMain(m)
}

// secret is the credential of all sessions here.
const secret = "sesame-credential"

// lab is a watcher with a real store, and an upstream and events that do as they are
// told. Store and watcher can be started anew.
type lab struct {
	t     testing.TB
	cfg   watch.Config
	dir   string
	log   *testkit.LogBuffer
	table *session.Table

	share *share // nil: there is no fleet

	store    *teststore.Store
	schedule *watch.Schedule
	w        *watch.Watcher
	registry *prometheus.Registry

	events  *events
	finals  *finals
	turns   chan struct{} // each question takes one; nil: as many as there are
	asking  func()        // called with each question; nil: nothing is
	erasing func()        // called when memory has to forget something; nil: nothing is
	mu      sync.Mutex
	states  map[string]answer // by token; guarded by mu, as all below
	asked   map[string]int
	enough  time.Duration // how old an answer may be that is enough for the last question
	serves  time.Duration // for how long the last answer does
	erased  []string      // tokens that memory has to forget
	handed  []handed      // to others
	news    chan struct{} // closed at the next question
	waited  bool          // a client waits, for each session
}

type answer struct {
	state session.State
	err   error
}

func newLab(t testing.TB, changes ...func(*lab)) *lab {
	t.Helper()
	l := unopened(t, changes...)
	l.open()
	t.Cleanup(l.close)
	return l
}

// unopened is a lab before its store is opened.
func unopened(t testing.TB, changes ...func(*lab)) *lab {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)
	l := &lab{
		t: t, cfg: watch.DefaultConfig(), dir: t.TempDir(), log: &testkit.LogBuffer{}, table: table,
		events: newEvents(), finals: &finals{forgotten: map[string]bool{}}, states: map[string]answer{}, asked: map[string]int{}, news: make(chan struct{}),
	}
	l.cfg.Interval = 10 * time.Millisecond
	for _, change := range changes {
		change(l)
	}
	t.Cleanup(func() {
		if strings.Contains(l.log.String(), secret) {
			t.Errorf("the log holds a credential: %s", l.log)
		}
	})
	return l
}

// open starts the store and a watcher.
func (l *lab) open() {
	l.t.Helper()
	l.prepare()
	testkit.NoError(l.t, l.w.Start())
}

// prepare opens the store and makes a watcher that does not poll yet.
func (l *lab) prepare() {
	l.t.Helper()
	log := l.log.Logger(slog.LevelInfo)
	var err error
	l.store, err = teststore.Open(l.t.Context(), teststore.In(l.dir), store.DefaultConfig(), log)
	testkit.NoError(l.t, err)
	l.registry = prometheus.NewRegistry()
	l.finals.id = func(v *session.Variant) string { return session.ID(l.store, v) }
	l.schedule, err = watch.NewSchedule(l.cfg, watch.ScheduleOptions{Endpoints: []string{"smartid-sign"}, Store: l.store.Store, Log: log, Registry: l.registry})
	testkit.NoError(l.t, err)
	options := watch.Options{
		Schedule: l.schedule, Waited: l.isWaited,
		Store: l.store.Store, Table: l.table, Events: l.events, Finals: l.finals, Ask: l.ask, Erase: l.erase, Retain: time.Minute, Log: log, Registry: l.registry,
	}
	if l.share != nil {
		options.Share, options.HandOn = l.share, l.handOn
	}
	l.w, err = watch.New(l.cfg, options)
	testkit.NoError(l.t, err)
}

func (l *lab) close() {
	l.w.Close()
	if got, want := l.w.States(), l.w.Recount(); !maps.Equal(got, want) {
		l.t.Errorf("States = %v; want %v", got, want)
	}
	l.schedule.Close()
	if err := l.store.Close(); err != nil {
		l.t.Errorf("store.Close = %v", err)
	}
}

func (l *lab) restart() {
	l.t.Helper()
	l.close()
	l.open()
}

// erase notes what memory has to forget.
func (l *lab) erase(_ context.Context, v *session.Variant) error {
	l.mu.Lock()
	l.erased = append(l.erased, v.Token)
	l.mu.Unlock()
	if l.erasing != nil {
		l.erasing()
	}
	return nil
}

// ask answers like the cache: it tells the watcher of the observation first.
func (l *lab) ask(ctx context.Context, v *session.Variant, after time.Time) (*session.Observation, error) {
	if l.asking != nil {
		l.asking()
	}
	if err := l.waitForTurn(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	now := l.states[v.Token]
	l.asked[v.Token]++
	l.enough = time.Since(after)
	close(l.news)
	l.news = make(chan struct{})
	l.mu.Unlock()
	if now.err != nil {
		return nil, now.err
	}
	o := observation(now.state)
	l.w.Observe(v, o)
	serves := l.w.Fresh(v, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serves = serves
	return o, nil
}

func observation(state session.State) *session.Observation {
	return &session.Observation{At: time.Now(), Answer: session.Answer{State: state}, Content: &session.Content{Status: 200, Body: []byte(`{"status":"…"}`)}}
}

func (l *lab) isWaited(*session.Variant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waited
}

// say says what the upstream answers from now on.
func (l *lab) say(token string, state session.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[token] = answer{state: state}
}

func (l *lab) fail(token string) { l.failBy(token, errors.New("the upstream is down")) }

func (l *lab) failBy(token string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[token] = answer{err: err}
}

// awaitQuestions waits for a number of further questions about a token.
func (l *lab) awaitQuestions(token string, n int) {
	l.t.Helper()
	deadline := time.After(testkit.Timeout)
	l.mu.Lock()
	n += l.asked[token]
	for l.asked[token] < n {
		news := l.news
		l.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			l.t.Fatalf("the upstream was not asked about %s", token)
		}
		l.mu.Lock()
	}
	l.mu.Unlock()
}

func (l *lab) questions(token string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[token]
}

func (l *lab) variant(token string) *session.Variant {
	l.t.Helper()
	v, err := l.table.Variant("smartid-sign", token, secret, "en")
	testkit.NoError(l.t, err)
	return v
}

// watch registers a session that is pending.
func (l *lab) watch(token string) watch.Session {
	l.t.Helper()
	s, err := l.w.Watch(l.t.Context(), l.variant(token))
	testkit.NoError(l.t, err)
	return s
}

// awaitEnd waits until a watch has ended, and wants its session to have a status.
func (l *lab) awaitEnd(id, status string) {
	l.t.Helper()
	testkit.Eventually(l.t, "the end of the watch", func() bool { return l.w.Live() == 0 })
	s, err := l.w.Get(l.t.Context(), id)
	if err != nil || s.Status() != status {
		l.t.Fatalf("Get = %+v, %v; want %s", s, err, status)
	}
	if n := l.watched(); n != 0 {
		l.t.Errorf("the store has %d watches", n)
	}
}

// watched is how many sessions are, as far as the store knows.
func (l *lab) watched() int {
	l.t.Helper()
	n, err := l.w.Watched(l.t.Context())
	testkit.NoError(l.t, err)
	return n
}

// events is an Events like the real one: a repeat makes no event.
type events struct {
	came chan event.Change

	mu     sync.Mutex
	wanted bool // guarded by mu, as all below
	err    error
	failed int
	calls  int // of Changed
	made   map[string]bool
	erased map[string]bool
}

func newEvents() *events {
	return &events{came: make(chan event.Change, 100_000), made: map[string]bool{}, erased: map[string]bool{}}
}

func (e *events) want(wanted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wanted = wanted
}

func (e *events) failWith(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *events) failures() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

func (e *events) Wanted(s event.Subject) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wanted
}

func (e *events) Changed(_ context.Context, c event.Change) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.err != nil {
		e.failed++
		return false, e.err
	}
	key := c.Session + c.Type
	if e.made[key] {
		return false, nil
	}
	e.made[key] = true
	e.came <- c
	return true, nil
}

func (e *events) called() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

// Knows says so of the session with the id ses_left, besides those with events.
func (e *events) Knows(_ context.Context, id string) (bool, error) { return id == "ses_left", nil }

func (e *events) EraseSession(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.erased[id] = true
	for _, kind := range event.Types() {
		delete(e.made, id+kind)
	}
	return nil
}

// next waits for the next event and wants it to be of a type.
func (l *lab) next(want string) event.Change {
	l.t.Helper()
	select {
	case c := <-l.events.came:
		if c.Type != want {
			l.t.Fatalf("%s came, want %s", c.Type, want)
		}
		return c
	case <-time.After(testkit.Timeout):
		l.t.Fatalf("%s did not come; log: %s", want, l.log)
	}
	panic("not reached")
}

// quiet wants no event to be there.
func (l *lab) quiet() {
	l.t.Helper()
	select {
	case c := <-l.events.came:
		l.t.Fatalf("%s came, though nothing has happened", c.Type)
	default:
	}
}

type finals struct {
	mu        sync.Mutex
	forgotten map[string]bool // guarded by mu
	id        func(*session.Variant) string

	recent map[*session.Variant]*session.Observation // guarded by mu
}

// keep keeps a final answer of which nobody is told.
func (f *finals) keep(v *session.Variant, state session.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recent == nil {
		f.recent = map[*session.Variant]*session.Observation{}
	}
	f.recent[v] = observation(state)
}

func (f *finals) Recent(_ context.Context, _ time.Duration, wanted func(string) bool, _ func([]byte) (*session.Variant, error), use func(*session.Variant, *session.Observation)) error {
	f.mu.Lock()
	recent := maps.Clone(f.recent)
	f.mu.Unlock()
	for v, o := range recent {
		if wanted(f.id(v)) {
			use(v, o)
		}
	}
	return nil
}

func (f *finals) Forget(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten[id] = true
	return nil
}
