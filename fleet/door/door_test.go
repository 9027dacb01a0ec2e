package door_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pollbridge/cache"
	"pollbridge/finals"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/tracing"
	"pollbridge/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a server of NATS, an upstream, and the replicas between them.
type lab struct {
	t       *testing.T
	servers *natscluster.Cluster
	key     store.Key
	table   *session.Table
	tracer  *tracing.Tracer // nil: there are no spans

	subscribed atomic.Bool // somebody is, whether replicas have heard of that or not

	mu       sync.Mutex
	polls    map[string]int             // guarded by mu, as all below; by token
	loads    map[string]int             // of final answers that are stored
	flying   map[string]int             // polls under way
	most     int                        // of one token at the same time
	answer   func(token string) any     // *session.Observation or error
	took     time.Duration              // that a poll takes
	seen     map[string][]session.State // what was handed on, by token
	told     map[string][]string        // to who looks after the session, with whether somebody was known to want it
	observed map[string][]string        // the same, with whether somebody was known to want it
	made     int
	holds    []hold
	full     bool            // final answers cannot be stored
	about    func(id string) // is called when a replica is about to ask the upstream about a session; nil: nothing is
}

func newTable(t *testing.T) *session.Table {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)
	return table
}

// variantOf is that of a token.
func variantOf(t *testing.T, table *session.Table, token string) *session.Variant {
	v, err := table.Variant("smartid-sign", token, "sesame", "en")
	testkit.NoError(t, err)
	return v
}

func newLab(t *testing.T) *lab {
	key, err := store.LoadKey(store.DefaultConfig(), t.TempDir(), true)
	testkit.NoError(t, err)
	return &lab{
		t: t, servers: natscluster.Start(t, 1, natscluster.Settings{}), key: key, table: newTable(t),
		polls: map[string]int{}, loads: map[string]int{}, flying: map[string]int{}, seen: map[string][]session.State{}, told: map[string][]string{}, observed: map[string][]string{},
		answer: func(string) any { return said(session.Pending, `{"status":"waiting"}`) },
	}
}

func said(state session.State, body string) *session.Observation {
	return &session.Observation{At: time.Now(), Answer: session.Answer{State: state}, Content: &session.Content{Status: 200, Body: []byte(body)}}
}

// Poll is the upstream's.
func (l *lab) Poll(_ context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error) {
	l.mu.Lock()
	l.polls[v.Token]++
	l.flying[v.Token]++
	l.most = max(l.most, l.flying[v.Token])
	answer, took := l.answer, l.took
	l.mu.Unlock()
	if o.Origin != "" {
		o.CORS([]session.Field{{Name: []byte("Access-Control-Allow-Origin"), Value: []byte(o.Origin)}})
	}
	time.Sleep(took) // as a poll does
	l.mu.Lock()
	l.flying[v.Token]--
	l.mu.Unlock()
	switch answer := answer(v.Token).(type) {
	case error:
		return nil, answer
	default:
		observed := *answer.(*session.Observation)
		observed.Poll = o.Span.Context()
		return &observed, nil
	}
}

// Hold is the upstream's, too.
func (l *lab) Hold(v *session.Variant, status int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds = append(l.holds, hold{v.Token, status, wait})
}

// hold is that a replica polls no more for a while.
type hold struct {
	token  string
	status int
	wait   time.Duration
}

type replica struct {
	*fleet.Fleet
	door        *door.Door
	statuses    *cache.Statuses
	finals      *finals.Finals
	cluster     *cluster.Cluster
	held        *requests
	subscribers *subscribers
	id          func(*session.Variant) string
}

func (l *lab) start() *replica {
	l.t.Helper()
	t, log := l.t, slog.New(slog.DiscardHandler)
	l.made++
	cfg := cluster.DefaultConfig()
	cfg.URL, cfg.Replicas = l.servers.URL(), 1
	c, err := cluster.Open(testkit.Within(t), cfg, log)
	testkit.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s, err := store.Open(testkit.Within(t), store.DefaultConfig(), store.Options{Connection: c, Key: l.key, Log: log, Prefix: cfg.Prefix, Replicas: 1, Shared: true})
	testkit.NoError(t, err)
	t.Cleanup(s.Close)
	sessionID := func(v *session.Variant) string { return session.ID(s, v) }
	answers, err := finals.Open(testkit.Within(t), s)
	testkit.NoError(t, err)
	id := fmt.Sprintf("r%d", l.made)
	f, err := fleet.Open(testkit.Within(t), fleet.Options{Store: s, Log: log, Replica: fleet.Replica{ID: id, Name: id, Started: time.Now()}, Window: time.Second})
	testkit.NoError(t, err)
	unkept, requests, subscribers := &cache.Unkept{}, &requests{}, &subscribers{made: &l.subscribed}
	d := door.New(door.Options{Fleet: looking{f, l}, Upstream: l, Holder: l, Held: requests, Subscriptions: subscribers, Finals: keeping{answers, l}, Unkept: unkept, LongestPoll: time.Minute, Recent: time.Minute, Remembered: time.Hour, Table: l.table, ID: sessionID, Log: log})
	t.Cleanup(d.Close)
	cacheConfig := cache.DefaultConfig()
	cacheConfig.MaxSize = 8 << 20
	statuses, err := cache.New(cacheConfig, cache.Options{
		Poller: d, Finals: d.Finals(), Unkept: unkept, Retain: time.Minute, Log: log, Tracer: l.tracer, Coverage: subscribers.coverage.Load,
		Observe: func(v *session.Variant, o *session.Observation) {
			here := d.Observed(v, o)
			l.mu.Lock()
			defer l.mu.Unlock()
			observed := o.State.String()
			if subscribers.Wants(v) {
				observed += ", wanted"
			}
			if here {
				l.told[v.Token] = append(l.told[v.Token], observed)
			}
			if o.Elsewhere {
				return
			}
			l.seen[v.Token] = append(l.seen[v.Token], o.State)
			l.observed[v.Token] = append(l.observed[v.Token], observed)
		},
	})
	testkit.NoError(t, err)
	t.Cleanup(statuses.Close)
	d.Open(statuses)
	testkit.NoError(t, f.Start(nobody{}))
	t.Cleanup(func() {
		f.HandOver(testkit.Within(t))
		f.Close(testkit.Within(t))
	})
	return &replica{f, d, statuses, answers, c, requests, subscribers, sessionID}
}

// looking calls the lab's about with each session about which a replica is about to ask the upstream.
type looking struct {
	*fleet.Fleet
	l *lab
}

func (m looking) While(id string, note func()) bool {
	holds := m.Fleet.While(id, note)
	m.l.mu.Lock()
	about := m.l.about
	m.l.mu.Unlock()
	if holds && about != nil {
		about(id)
	}
	return holds
}

func (l *lab) setAbout(about func(id string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.about = about
}

// requests are those that are held.
type requests struct {
	mu        sync.Mutex
	here      bool          // one is held here, for each session; guarded by mu, as below
	fresh     time.Duration // of a pending observation
	elsewhere []string      // tokens of those that are held at another replica
}

func (r *requests) set(here bool, fresh time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.here, r.fresh = here, fresh
}

func (r *requests) Holds(*session.Variant) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here
}

func (r *requests) HeldElsewhere(v *session.Variant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.elsewhere = append(r.elsewhere, v.Token)
}

func (r *requests) Fresh(*session.Variant, *session.Observation) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fresh
}

// keeping keeps final answers, unless there is no room.
type keeping struct {
	cache.Finals
	l *lab
}

func (k keeping) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	k.l.mu.Lock()
	full := k.l.full
	k.l.mu.Unlock()
	if full {
		return store.ErrUnusable
	}
	return k.Finals.Keep(ctx, v, o)
}

func (k keeping) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	k.l.mu.Lock()
	k.l.loads[v.Token]++
	k.l.mu.Unlock()
	return k.Finals.Load(ctx, v)
}

func (l *lab) setFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

// nobody looks after sessions.
type nobody struct{}

func (nobody) Begin([]fleet.Slot) {}
func (nobody) End([]int)          {}

func (l *lab) startAll(n int) (replicas []*replica) {
	for range n {
		replicas = append(replicas, l.start())
	}
	testkit.Eventually(l.t, "each replica has its share", func() bool {
		for _, r := range replicas {
			all := r.Replicas()
			slices.SortFunc(all, func(a, b fleet.Replica) int { return strings.Compare(a.ID, b.ID) })
			if len(all) != n {
				return false
			}
			for i, other := range all {
				if other.Slots != (fleet.Slots+n-1-i)/n { // some may still change hands
					return false
				}
			}
		}
		return true
	})
	return replicas
}

func (l *lab) variant(token string) *session.Variant {
	return variantOf(l.t, l.table, token)
}

// held returns a variant whose session that replica looks after.
func (l *lab) held(r *replica) *session.Variant {
	for {
		v := l.variant(fmt.Sprintf("t%d", rand.Uint64()))
		if r.Holds(r.id(v)) {
			return v
		}
	}
}

// TestOnePollInTheFleet: however many ask wherever, the upstream is asked once in a window, and
// never by two at the same time.
func TestOnePollInTheFleet(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(3)
	l.took = 20 * time.Millisecond
	const windows = 3
	end := time.Now().Add(windows * time.Second)
	var clients sync.WaitGroup
	for range 24 {
		clients.Go(func() {
			for time.Now().Before(end) {
				result, err := replicas[rand.IntN(len(replicas))].statuses.Get(testkit.Within(t), l.variant("one"))
				if err != nil || result.State != session.Pending {
					t.Errorf("Get = %v, %v", result.Observation, err)
					return
				}
				time.Sleep(time.Millisecond) // a client's own time
			}
		})
	}
	clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.polls["one"]; n == 0 || n > windows+1 || l.most != 1 {
		t.Errorf("%d polls in %d windows, up to %d at a time", n, windows, l.most)
	}
}

// TestFinalAnswerIsEverybodys: it is kept and told of once, and served everywhere, however large.
func TestFinalAnswerIsEverybodys(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	document := strings.Repeat("0123456789abcdef", 1<<17)
	l.answer = func(string) any { return said(session.Succeeded, document) }
	v := l.held(replicas[0])
	for _, r := range []*replica{replicas[1], replicas[0], replicas[1]} {
		result, err := r.statuses.Get(testkit.Within(t), v)
		if err != nil || result.State != session.Succeeded || !bytes.Equal(result.Body, []byte(document)) {
			t.Fatalf("Get = %v", err)
		}
	}
	stored, err := replicas[1].finals.Load(testkit.Within(t), v)
	if err != nil || len(stored) != 1 {
		t.Errorf("Load = %d, %v", len(stored), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls[v.Token] != 1 || len(l.seen[v.Token]) != 1 {
		t.Errorf("%d polls, told of %v", l.polls[v.Token], l.seen[v.Token])
	}
}

// TestFailuresAreTold: with all that clients are told of them.
func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	l.answer = func(string) any {
		return &upstream.Failure{Reason: upstream.SlowDown, RetryAfter: 7 * time.Second, Answer: &session.Content{Status: http.StatusTooManyRequests, Body: []byte("slowly")}}
	}
	_, err := replicas[1].statuses.Get(testkit.Within(t), v)
	failure, ok := errors.AsType[*upstream.Failure](err)
	if !ok || failure.Reason != upstream.SlowDown || failure.RetryAfter != 7*time.Second || failure.Answer == nil || string(failure.Answer.Body) != "slowly" {
		t.Errorf("Get = %v", err)
	}
	// The last pending answer of the one is the other's, too.
	w := l.held(replicas[0])
	l.answer = func(string) any { return said(session.Pending, "waiting") }
	first, err := replicas[0].statuses.Get(testkit.Within(t), w)
	testkit.NoError(t, err)
	l.answer = func(string) any { return errors.New("down") }
	testkit.Eventually(t, "its window is over", func() bool { return first.Age(time.Now()) > time.Second })
	if result, err := replicas[1].statuses.Get(testkit.Within(t), w); err != nil || result.How != cache.Stale || string(result.Body) != "waiting" {
		t.Errorf("Get = %v, %v", result.How, err)
	}
}

// TestOriginsAreLearned: what a page may read is told with the answer.
func TestOriginsAreLearned(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	if _, err := replicas[1].statuses.GetFor(testkit.Within(t), v, "https://a.example"); err != nil {
		t.Fatal(err)
	}
	if fields, known := replicas[1].statuses.CORS(v, "https://a.example"); !known || len(fields) != 1 || string(fields[0].Value) != "https://a.example" {
		t.Errorf("CORS = %v, %v", fields, known)
	}
}

// TestHeldRequestsAreToldOf: whoever looks after a session knows that another replica holds a request
// for it, and that one knows when the session is polled, which may be sooner for that.
func TestHeldRequestsAreToldOf(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	replicas[0].held.set(false, 400*time.Millisecond)
	for _, held := range []bool{false, true} {
		replicas[1].held.set(held, 0)
		result, err := replicas[1].statuses.Renew(testkit.Within(t), v)
		if err != nil || result.TTL > 400*time.Millisecond {
			t.Errorf("Renew = %v, %v; want what is fresh for 400 ms at most", result.TTL, err)
		}
		replicas[0].held.mu.Lock()
		if told := len(replicas[0].held.elsewhere) > 0; told != held || held && replicas[0].held.elsewhere[0] != v.Token {
			t.Errorf("held %t, told of %v", held, replicas[0].held.elsewhere)
		}
		replicas[0].held.mu.Unlock()
	}
}

// TestHeldBack: what the upstream said to one, all others know, and who comes later.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	told := func(n int, most time.Duration) func() bool {
		return func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.holds) != n {
				return false
			}
			h := l.holds[n-1]
			return h.token == "a" && h.status == http.StatusTooManyRequests && h.wait <= most && h.wait > most/2
		}
	}
	replicas[0].door.Held(l.variant("a"), http.StatusTooManyRequests, time.Minute)
	testkit.Eventually(t, "both know", told(2, time.Minute))
	began := time.Now()
	testkit.Eventually(t, "a part of it is over", func() bool { return time.Since(began) > time.Second })
	l.start()
	testkit.Eventually(t, "a third one knows what is left", told(3, time.Minute-time.Second/2))
}

// TestCutOff: without the others a replica asks the upstream itself, and tells them later.
func TestCutOff(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	l.servers.Servers[0].Kill()
	testkit.Eventually(t, "the store is missed", func() bool { return replicas[1].cluster.Err() != nil })
	l.answer = func(string) any { return said(session.Succeeded, "signed") }
	if result, err := replicas[1].statuses.Get(testkit.Within(t), v); err != nil || string(result.Body) != "signed" {
		t.Fatalf("Get = %v", err)
	}
	l.answer = func(string) any { return said(session.NotFound, "gone") } // it was the only delivery
	l.servers.Servers[0].Start()
	testkit.Eventually(t, "the replica that looks after the session knows", func() bool {
		result, ok := replicas[0].statuses.Fresh([]byte(v.Key()), v.Locale)
		return ok && string(result.Body) == "signed"
	})
	testkit.Eventually(t, "it is stored", func() bool {
		stored, err := replicas[0].finals.Load(testkit.Within(t), v)
		return err == nil && len(stored) == 1
	})
}

// TestObservedIsKnownElsewhere before it is answered: the replica that has asked may be gone after that.
func TestObservedIsKnownElsewhere(t *testing.T) {
	l := newLab(t)
	replicas := l.startAll(2)
	for i := range 10 {
		v := l.variant(fmt.Sprint("begun", i))
		for _, r := range replicas {
			if r.Holds(r.id(v)) {
				continue
			}
			r.door.Observed(v, said(session.Pending, `{"status":"waiting"}`))
			l.mu.Lock()
			if seen := l.seen[v.Token]; len(seen) != 1 {
				t.Errorf("who looks after %s has seen %v", v.Token, seen)
			}
			l.mu.Unlock()
		}
	}
}

// TestHandOverWithAPollUnderWay: who takes a session over waits for the poll that is under way where
// it was before, and makes none. Nobody misses an answer that is given only once.
func TestHandOverWithAPollUnderWay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v, pending := l.held(replicas[0]), l.held(replicas[0])
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	l.answer = func(token string) any {
		if token == pending.Token {
			return said(session.Pending, "waiting")
		}
		select {
		case asked <- struct{}{}:
			<-answer
			return said(session.Succeeded, "signed")
		default:
			return said(session.NotFound, "gone")
		}
	}
	if _, err := replicas[0].statuses.Get(testkit.Within(t), pending); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	get := func(r *replica) {
		clients.Go(func() {
			if result, err := r.statuses.Get(testkit.Within(t), v); err != nil || string(result.Body) != "signed" {
				t.Errorf("Get = %v, %v", result.Observation, err)
			}
		})
	}
	get(replicas[0])
	testkit.Eventually(t, "the upstream is asked", func() bool { return len(asked) == 1 })
	get(replicas[1])
	testkit.NoError(t, replicas[0].HandOver(testkit.Within(t)))
	testkit.Eventually(t, "the other one looks after the session", func() bool { return replicas[1].Holds(replicas[1].id(v)) })
	get(replicas[1])
	if result, err := replicas[1].statuses.Get(testkit.Within(t), pending); err != nil || string(result.Body) != "waiting" {
		t.Errorf("Get = %v, %v", result.Observation, err)
	}
	since, _ := replicas[1].Since(replicas[1].id(v))
	testkit.Eventually(t, "it could have been asked again", func() bool { return time.Since(since) > 1200*time.Millisecond })
	close(answer)
	clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls[v.Token] != 1 || l.polls[pending.Token] > 2 || len(l.seen[v.Token]) != 1 {
		t.Errorf("%d polls and %d, told of %v", l.polls[v.Token], l.polls[pending.Token], l.seen[v.Token])
	}
}

// TestHandedOverBeforeItAsks: whoever takes a session over from one that is about to ask the upstream waits for
// what comes of that.
func TestHandedOverBeforeItAsks(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	id := replicas[0].id(v)
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() {
		close(reached)
		<-goOn
	})
	l.setAbout(func(about string) {
		if about == id {
			first()
		}
	})
	var clients sync.WaitGroup
	get := func(r *replica) {
		clients.Go(func() {
			if _, err := r.statuses.Get(testkit.Within(t), v); err != nil {
				t.Errorf("Get: %v", err)
			}
		})
	}
	get(replicas[0])
	testkit.Receive(t, "it is about to ask", reached)
	testkit.NoError(t, replicas[0].HandOver(testkit.Within(t)))
	testkit.Eventually(t, "the other one looks after the session", func() bool { return replicas[1].Holds(id) })
	get(replicas[1])
	since, _ := replicas[1].Since(id)
	testkit.Eventually(t, "it could have asked the upstream", func() bool { return time.Since(since) > 200*time.Millisecond })
	close(goOn)
	clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls[v.Token] != 1 {
		t.Errorf("%d polls", l.polls[v.Token])
	}
}

// TestNothingIsAskedOnTheWayOut: a replica that goes while it waits for another one does not ask the upstream
// in its place.
func TestNothingIsAskedOnTheWayOut(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[1])
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	l.answer = func(string) any {
		asked <- struct{}{}
		<-answer
		return said(session.Pending, "waiting")
	}
	over := make(chan error)
	go func() {
		_, err := replicas[0].statuses.Get(testkit.Within(t), v)
		over <- err
	}()
	testkit.Receive(t, "the upstream is asked", asked)
	replicas[0].door.Drain()
	replicas[0].cluster.Close()
	if err := testkit.Receive(t, "who waits is answered", over); err == nil {
		t.Error("Get has an answer")
	}
	close(answer)
	if len(asked) != 0 {
		t.Error("the upstream is asked again")
	}
}

// TestHandedOverTwiceWithAPollUnderWay: who takes a session over from one that had it for a moment waits
// for what is under way where it was before.
func TestHandedOverTwiceWithAPollUnderWay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(3)
	v := l.held(replicas[0])
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	l.answer = func(string) any {
		asked <- struct{}{}
		<-answer
		return said(session.Succeeded, "signed")
	}
	var clients sync.WaitGroup
	get := func(r *replica) {
		clients.Go(func() {
			if result, err := r.statuses.Get(testkit.Within(t), v); err != nil || string(result.Body) != "signed" {
				t.Errorf("Get = %v, %v", result.Observation, err)
			}
		})
	}
	handOver := func(from *replica, to ...*replica) (holder *replica) {
		testkit.NoError(t, from.HandOver(testkit.Within(t)))
		testkit.Eventually(t, "another one looks after the session", func() bool {
			i := slices.IndexFunc(to, func(r *replica) bool { return r.Holds(r.id(v)) })
			if i >= 0 {
				holder = to[i]
			}
			return i >= 0
		})
		return holder
	}
	get(replicas[0])
	testkit.Eventually(t, "the upstream is asked", func() bool { return len(asked) == 1 })
	second := handOver(replicas[0], replicas[1], replicas[2])
	get(second)
	third := handOver(second, slices.DeleteFunc(slices.Clone(replicas[1:]), func(r *replica) bool { return r == second })...)
	get(third)
	since, _ := third.Since(third.id(v))
	testkit.Eventually(t, "it could have been asked again", func() bool { return time.Since(since) > 200*time.Millisecond })
	close(answer)
	clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls[v.Token] != 1 || len(l.seen[v.Token]) != 1 {
		t.Errorf("%d polls, up to %d at a time, told of %v", l.polls[v.Token], l.most, l.seen[v.Token])
	}
}

// toldOf is what whoever looks after a session was told of.
func (l *lab) toldOf(v *session.Variant) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told[v.Token])
}

// TestEndSeenByWhoGoes: the end of a session that was handed over with a poll under way is told to whoever
// looks after it by now before the replica has gone, be it that nobody asks there.
func TestEndSeenByWhoGoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	l.answer = func(string) any {
		asked <- struct{}{}
		<-answer
		return said(session.Succeeded, "signed")
	}
	var client sync.WaitGroup
	client.Go(func() {
		if result, err := replicas[0].statuses.Get(testkit.Within(t), v); err != nil || string(result.Body) != "signed" {
			t.Errorf("Get = %v, %v", result.Observation, err)
		}
	})
	testkit.Receive(t, "the upstream is asked", asked)
	testkit.NoError(t, replicas[0].HandOver(testkit.Within(t)))
	testkit.Eventually(t, "the other one looks after the session", func() bool { return replicas[1].Holds(replicas[1].id(v)) })
	close(answer)
	client.Wait()
	replicas[0].door.TellRest(testkit.Within(t))
	if told := l.toldOf(v); !slices.Contains(told, "succeeded") {
		t.Errorf("who looks after the session is told of %v", told)
	}
}

// TestEndThatWasOnlyStored is told of by whoever finds it there, once somebody looks after the session: the
// replica that has stored it may have gone before it told anybody.
func TestEndThatWasOnlyStored(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	one := l.start()
	v := l.variant("stored")
	testkit.NoError(t, one.finals.Keep(testkit.Within(t), v, said(session.Succeeded, "signed")))
	testkit.NoError(t, one.HandOver(testkit.Within(t)))
	if result, err := one.statuses.Get(testkit.Within(t), v); err != nil || string(result.Body) != "signed" {
		t.Fatalf("Get = %v, %v", result.Observation, err)
	}
	if told := l.toldOf(v); len(told) != 0 {
		t.Errorf("nobody looks after the session, and is told of %v", told)
	}
	l.start()
	testkit.Eventually(t, "who looks after the session is told of its end", func() bool {
		return slices.Contains(l.toldOf(v), "succeeded")
	})
}

// TestEndHeardByWhoIsUnsure: a replica that does not know for the moment whether a session is still its own
// is told of its end by another one, which takes that for told.
func TestEndHeardByWhoIsUnsure(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	end := said(session.Succeeded, "signed")
	testkit.NoError(t, replicas[0].finals.Keep(testkit.Within(t), v, end))
	l.servers.Servers[0].Kill()
	testkit.Eventually(t, "it is unsure", func() bool { return !replicas[0].Holds(replicas[0].id(v)) })
	end.Elsewhere = true
	if replicas[0].door.Observed(v, end) {
		t.Error("it takes the session for its own")
	}
	l.servers.Servers[0].Start()
	testkit.Eventually(t, "who looks after the session is told of its end", func() bool {
		return slices.Contains(l.toldOf(v), "succeeded")
	})
}

// TestStoreIsLookedAtOnce, after a session has changed hands, and not before each poll.
func TestStoreIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	testkit.NoError(t, replicas[0].HandOver(testkit.Within(t)))
	testkit.Eventually(t, "the other one looks after the session", func() bool { return replicas[1].Holds(replicas[1].id(v)) })
	polls := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.polls[v.Token]
	}
	testkit.Eventually(t, "it is polled some more times", func() bool {
		if result, err := replicas[1].statuses.Get(testkit.Within(t), v); err != nil || result.State != session.Pending {
			t.Fatalf("Get = %v, %v", result.Observation, err)
		}
		return polls() == 4
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.loads[v.Token]; n > 2 { // where memory has nothing, and before the first poll
		t.Errorf("the store was looked at %d times for %d polls", n, l.polls[v.Token])
	}
}

// TestUnkeptElsewhere: a final answer that could not be stored is found from everywhere, until it is.
func TestUnkeptElsewhere(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(3)
	v := l.held(replicas[0])
	id := replicas[0].id(v)
	document := strings.Repeat("0123456789abcdef", 1<<17)
	l.answer = func(string) any { return said(session.Succeeded, document) }
	l.setFull(true)
	result, err := replicas[0].statuses.Get(testkit.Within(t), v)
	testkit.NoError(t, err)
	for _, r := range replicas[1:] {
		if o, err := r.door.UnkeptElsewhere(testkit.Within(t), id, result.At); err != nil || string(o.Body) != document || o.Status != 200 {
			t.Errorf("UnkeptElsewhere = %v", err)
		}
	}
	if _, err := replicas[1].door.UnkeptElsewhere(testkit.Within(t), "ses_other", result.At); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another session: %v", err)
	}
	l.setFull(false)
	testkit.Eventually(t, "it is stored", func() bool {
		_, err := replicas[1].door.UnkeptElsewhere(testkit.Within(t), id, result.At)
		return errors.Is(err, store.ErrNotFound)
	})
	if stored, err := replicas[1].finals.Load(testkit.Within(t), v); err != nil || len(stored) != 1 {
		t.Errorf("Load = %d, %v", len(stored), err)
	}
}

// TestManyLargeAnswers that another replica has, asked for at the same time, arrive whole, and nobody
// is cut off for that.
func TestManyLargeAnswers(t *testing.T) {
	l := newLab(t)
	replicas := l.startAll(2)
	document := strings.Repeat("0123456789abcdef", 9<<16) // together more than a server keeps for a connection
	l.answer = func(token string) any { return said(session.Succeeded, token+document) }
	var variants []*session.Variant
	for range 8 {
		v := l.held(replicas[0])
		variants = append(variants, v)
		if _, err := replicas[0].statuses.Get(testkit.Within(t), v); err != nil {
			t.Fatal(err)
		}
	}
	up := replicas[1].cluster.Up()
	var clients sync.WaitGroup
	for _, v := range variants {
		clients.Go(func() {
			result, err := replicas[1].statuses.Get(testkit.Within(t), v)
			if err != nil || result.State != session.Succeeded || string(result.Body) != v.Token+document {
				t.Errorf("Get = %v", err)
			}
		})
	}
	clients.Wait()
	if err := up.Err(); err != nil {
		t.Errorf("the replica was cut off: %v", context.Cause(up))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range variants {
		if l.polls[v.Token] != 1 {
			t.Errorf("%s was polled %d times", v.Token, l.polls[v.Token])
		}
	}
}
