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
	"testing"
	"time"

	"go.uber.org/goleak"

	"pollbridge/cache"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a server of NATS, an upstream, and the replicas between them.
type lab struct {
	t       *testing.T
	servers *natscluster.Cluster
	key     store.Key
	table   *session.Table

	mu     sync.Mutex
	polls  map[string]int             // guarded by mu, as all below; by token
	flying map[string]int             // polls under way
	most   int                        // of one token at the same time
	answer func(token string) any     // *session.Observation or error
	took   time.Duration              // that a poll takes
	seen   map[string][]session.State // what was handed on, by token
	made   int
	told   []string // by other replicas
}

func newLab(t *testing.T) *lab {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)
	key, err := store.LoadKey(store.DefaultConfig(), t.TempDir(), true)
	testkit.NoError(t, err)
	return &lab{
		t: t, servers: natscluster.Start(t, 1, natscluster.Settings{}), key: key, table: table,
		polls: map[string]int{}, flying: map[string]int{}, seen: map[string][]session.State{},
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
		return answer.(*session.Observation), nil
	}
}

// Hold is the upstream's, too.
func (l *lab) Hold(v *session.Variant, status int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fmt.Sprint(v.Token, " ", status, " ", wait))
}

type replica struct {
	*fleet.Fleet
	door     *door.Door
	statuses *cache.Statuses
	finals   *store.Finals
	cluster  *cluster.Cluster
	id       func(*session.Variant) string
}

func (l *lab) start() *replica {
	l.t.Helper()
	t, log := l.t, slog.New(slog.DiscardHandler)
	l.made++
	cfg := cluster.DefaultConfig()
	cfg.URL, cfg.Replicas = l.servers.URL(), 1
	c, err := cluster.Open(within(t), cfg, log)
	testkit.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s, err := store.Open(within(t), store.DefaultConfig(), store.Options{Connection: c, Key: l.key, Log: log, Prefix: cfg.Prefix, Replicas: 1, Shared: true})
	testkit.NoError(t, err)
	t.Cleanup(s.Close)
	finals, err := s.Finals(within(t))
	testkit.NoError(t, err)
	id := fmt.Sprintf("r%d", l.made)
	f, err := fleet.Open(within(t), fleet.Options{Store: s, Log: log, Replica: fleet.Replica{ID: id, Name: id, Started: time.Now()}, Window: time.Second})
	testkit.NoError(t, err)
	d := door.New(door.Options{Fleet: f, Upstream: l, Holder: l, Finals: finals, Recent: time.Minute, Table: l.table, ID: s.SessionID, Log: log})
	t.Cleanup(d.Close)
	cacheConfig := cache.DefaultConfig()
	cacheConfig.MaxSize = 8 << 20
	statuses, err := cache.New(cacheConfig, cache.Options{
		Poller: d, Finals: d.Finals(), Retain: time.Minute, Log: log,
		Observe: func(v *session.Variant, o *session.Observation) {
			if o.Elsewhere {
				return
			}
			l.mu.Lock()
			l.seen[v.Token] = append(l.seen[v.Token], o.State)
			l.mu.Unlock()
			if !f.Holds(s.SessionID(v)) {
				d.Seen(v, o)
			}
		},
	})
	testkit.NoError(t, err)
	t.Cleanup(statuses.Close)
	d.Open(statuses)
	testkit.NoError(t, f.Start(nobody{}))
	t.Cleanup(func() { f.Close(within(t)) })
	return &replica{f, d, statuses, finals, c, s.SessionID}
}

// nobody looks after sessions.
type nobody struct{}

func (nobody) Begin([]fleet.Slot) {}
func (nobody) End([]int)          {}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Timeout)
	t.Cleanup(cancel)
	return ctx
}

func (l *lab) startAll(n int) (replicas []*replica) {
	for range n {
		replicas = append(replicas, l.start())
	}
	testkit.Eventually(l.t, "each replica has its share", func() bool {
		for _, r := range replicas {
			all := r.Replicas()
			if len(all) != n || slices.ContainsFunc(all, func(other fleet.Replica) bool { return other.Slots < fleet.Slots/n }) {
				return false
			}
		}
		return true
	})
	return replicas
}

func (l *lab) variant(token string) *session.Variant {
	v, err := l.table.Variant("smartid-sign", token, "sesame", "en")
	testkit.NoError(l.t, err)
	return v
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
				result, err := replicas[rand.IntN(len(replicas))].statuses.Get(within(t), l.variant("one"))
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
		result, err := r.statuses.Get(within(t), v)
		if err != nil || result.State != session.Succeeded || !bytes.Equal(result.Body, []byte(document)) {
			t.Fatalf("Get = %v", err)
		}
	}
	stored, err := replicas[1].finals.Load(within(t), v)
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
	_, err := replicas[1].statuses.Get(within(t), v)
	failure, ok := errors.AsType[*upstream.Failure](err)
	if !ok || failure.Reason != upstream.SlowDown || failure.RetryAfter != 7*time.Second || failure.Answer == nil || string(failure.Answer.Body) != "slowly" {
		t.Errorf("Get = %v", err)
	}
	// The last pending answer of the one is the other's, too.
	w := l.held(replicas[0])
	l.answer = func(string) any { return said(session.Pending, "waiting") }
	first, err := replicas[0].statuses.Get(within(t), w)
	testkit.NoError(t, err)
	l.answer = func(string) any { return errors.New("down") }
	testkit.Eventually(t, "its window is over", func() bool { return first.Age(time.Now()) > time.Second })
	if result, err := replicas[1].statuses.Get(within(t), w); err != nil || result.How != cache.Stale || string(result.Body) != "waiting" {
		t.Errorf("Get = %v, %v", result.How, err)
	}
}

// TestOriginsAreLearned: what a page may read is told with the answer.
func TestOriginsAreLearned(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	v := l.held(replicas[0])
	if _, err := replicas[1].statuses.GetFor(within(t), v, "https://a.example"); err != nil {
		t.Fatal(err)
	}
	if fields, known := replicas[1].statuses.CORS(v, "https://a.example"); !known || len(fields) != 1 || string(fields[0].Value) != "https://a.example" {
		t.Errorf("CORS = %v, %v", fields, known)
	}
}

// TestHeldBack: what the upstream said to one, all others know.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(3)
	replicas[0].door.Held(l.variant("a"), http.StatusTooManyRequests, time.Minute)
	testkit.Eventually(t, "two others know", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Equal(l.told, []string{"a 429 1m0s", "a 429 1m0s"})
	})
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
	if result, err := replicas[1].statuses.Get(within(t), v); err != nil || string(result.Body) != "signed" {
		t.Fatalf("Get = %v", err)
	}
	l.answer = func(string) any { return said(session.NotFound, "gone") } // it was the only delivery
	l.servers.Servers[0].Start()
	testkit.Eventually(t, "the replica that looks after the session knows", func() bool {
		result, ok := replicas[0].statuses.Fresh([]byte(v.Key()), v.Locale)
		return ok && string(result.Body) == "signed"
	})
	testkit.Eventually(t, "it is stored", func() bool {
		stored, err := replicas[0].finals.Load(within(t), v)
		return err == nil && len(stored) == 1
	})
}
