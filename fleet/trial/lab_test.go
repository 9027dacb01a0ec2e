//go:build trial

package trial_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// full says that faults last as long as they are described.
var full bool

// lab is a fleet with all that is around it.
type lab struct {
	t        *testing.T
	nats     *natscluster.Cluster
	network  *network // between the servers; may be nil
	up       *upstream
	hooks    *testkit.Receiver
	replicas []*replica
	settings []string // of all replicas, after those of newReplica
	front    string   // the load balancer's address
	key      string   // the file of the encryption key
	relays   map[*replica][]*testkit.Relay
	made     int

	makesRoom func()         // ends what fill began
	apart     *testkit.Relay // the way of one replica to the upstream; nil: it is that of all
}

// newLab starts three servers, a number of replicas with settings of their own, and a load balancer
// in front of them.
func newLab(t *testing.T, replicas int, settings ...string) *lab {
	t.Helper()
	return newLabIn(t, nil, replicas, settings...)
}

// newLabIn is newLab with a network between the servers, unless that is nil.
func newLabIn(t *testing.T, n *network, replicas int, settings ...string) *lab {
	t.Helper()
	var ofServers natscluster.Settings
	if n != nil {
		ofServers = n.settings
	}
	l := &lab{
		t: t, network: n, nats: natscluster.Start(t, 3, ofServers), up: newUpstream(t), settings: settings,
		hooks: testkit.NewReceiver(t, testkit.AnswerStatus(204)), relays: map[*replica][]*testkit.Relay{},
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	l.key = filepath.Join(t.TempDir(), "key")
	testkit.NoError(t, os.WriteFile(l.key, []byte(hex.EncodeToString(secret)), 0o600))
	for range replicas {
		l.replicas = append(l.replicas, l.newReplica())
	}
	for _, r := range l.replicas {
		r.Start()
	}
	for _, r := range l.replicas {
		r.ready()
	}
	l.front = front(t, l.replicas)
	status, answer := l.replicas[0].call("POST", "/v1/subscriptions", []byte(`{"url":"`+l.hooks.URL+`"}`))
	if status != 201 {
		t.Fatalf("the subscription is answered %d %s", status, answer)
	}
	l.balanced()
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range l.replicas {
				t.Logf("log of %s:\n%s", r.public, tail(r.Log.String()))
			}
			for _, s := range l.nats.Servers {
				t.Logf("log of %s:\n%s", s.Name, tail(s.Log.String()))
			}
		}
	})
	return l
}

// tail is the end of a log, without what is said of each request.
func tail(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.Contains(line, "msg=request ") })
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// newReplica prepares a replica, which reaches each server of NATS through a relay.
func (l *lab) newReplica() *replica {
	l.t.Helper()
	ports := testkit.Ports(l.t, 2)
	r := &replica{public: "127.0.0.1:" + ports[0], private: "127.0.0.1:" + ports[1], t: l.t}
	r.Process = testkit.NewProcess(l.t, r.command)
	var urls []string
	for _, server := range l.nats.Servers {
		relay := testkit.NewRelay(l.t, server.Addr)
		l.relays[r] = append(l.relays[r], relay)
		urls = append(urls, "nats://"+relay.Addr)
	}
	r.env = append([]string{
		"POLLBRIDGE_LISTEN=" + r.public, "POLLBRIDGE_ADMIN_LISTEN=" + r.private, "POLLBRIDGE_ADMIN_KEY=" + managementKey, "POLLBRIDGE_UPSTREAM_URL=" + l.up.url + "/" + r.public, // so that it is known who polls
		"POLLBRIDGE_STORE_NATS_URL=" + strings.Join(urls, ","), "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + l.key,
		"POLLBRIDGE_WATCH_SCHEDULE=fixed", // one freshness window for all sessions: what was polled within it is counted
		"POLLBRIDGE_WEBHOOK_ALLOW_HTTP=true", "POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8", fmt.Sprint("POLLBRIDGE_WEBHOOK_ALLOW_PORTS=", l.hooks.Port()),
	}, l.settings...)
	return r
}

// cut cuts a replica off from all servers of NATS, or ends that.
func (l *lab) cut(r *replica, off bool) {
	if off {
		l.t.Logf("%s is cut off by relays that drop everything", r.public)
	}
	for _, relay := range l.relays[r] {
		relay.Cut.Store(off)
	}
}

// cutAll does so to all replicas.
func (l *lab) cutAll(off bool) {
	for _, r := range l.replicas {
		l.cut(r, off)
	}
}

// slow makes the way to the servers slow, or ends that.
func (l *lab) slow(slow bool) {
	for _, relays := range l.relays {
		for _, relay := range relays {
			relay.Slow.Store(slow)
		}
	}
}

// balanced waits until the replicas that run have their shares.
func (l *lab) balanced() {
	l.t.Helper()
	var running []*replica
	for _, r := range l.replicas {
		if r.Running() {
			running = append(running, r)
		}
	}
	testkit.Eventually(l.t, "each replica has its share", func() bool {
		shares := running[0].replicas()
		return len(shares) == len(running) && slices.Min(shares) >= 0.9/float64(len(running))
	})
}

// sign has signings begin, each with a poll of a client, that end at random within a time after
// another. It returns their tokens.
func (l *lab) sign(n int, after, within time.Duration) []string {
	l.t.Helper()
	now := time.Now()
	tokens := make([]string, n)
	var beginning sync.WaitGroup
	limit := make(chan struct{}, 16)
	for i := range tokens {
		l.made++
		tokens[i] = fmt.Sprintf("t%d", l.made)
		l.up.end(tokens[i], now.Add(after+mathrand.N(within)))
		limit <- struct{}{}
		beginning.Go(func() {
			defer func() { <-limit }()
			status, answer := poll(l.front, tokens[i])
			for range 3 {
				// Whoever is sent away by a replica that ends polls again, and so does whoever was not
				// answered: HAProxy says nothing to one whose replica was killed meanwhile.
				if status != 0 && (status != 503 || !strings.Contains(answer, "shutting down")) {
					break
				}
				status, answer = poll(l.front, tokens[i])
			}
			if status != 200 {
				l.t.Errorf("the first poll of %s is answered %d %s", tokens[i], status, answer)
			}
		})
	}
	beginning.Wait()
	return tokens
}

// delivered waits until the end of each signing was delivered, and checks that none was told
// under two ids, nor later than worst after its end. It returns how late the last one was.
func (l *lab) delivered(tokens []string, worst time.Duration) (latest time.Duration) {
	l.t.Helper()
	missing := func() (missing []string) {
		told := l.told()
		for _, token := range tokens {
			if told[token+" session.succeeded"] == nil {
				missing = append(missing, token)
			}
		}
		return missing
	}
	defer func() {
		if left := missing(); len(left) > 0 {
			l.t.Logf("not delivered: %v", left)
			for _, r := range l.replicas {
				for _, path := range []string{"/v1/stats", "/v1/replicas", "/v1/sessions?state=pending", "/v1/deliveries?state=waiting", "/v1/deliveries?state=dead"} {
					status, answer := r.call("GET", path, nil)
					l.t.Logf("%s %s: %d %.1000s", r.public, path, status, answer)
				}
			}
			for _, token := range left {
				polls, _ := l.up.asked(token)
				if len(polls) == 0 {
					l.t.Logf("%s was never polled", token)
					continue
				}
				l.t.Logf("%s was polled %d times, from %v until %v", token, len(polls), polls[0], polls[len(polls)-1])
				if begin := l.told()[token+" session.pending"]; begin != nil {
					for _, path := range []string{"/v1/sessions/" + begin.session, "/v1/deliveries?session=" + begin.session} {
						status, answer := l.replicas[0].call("GET", path, nil)
						l.t.Logf("%s: %d %.2000s", path, status, answer)
					}
				}
			}
		}
	}()
	testkit.Eventually(l.t, fmt.Sprint("the ends of ", len(tokens), " signings are delivered"), func() bool { return len(missing()) == 0 })
	told := l.told()
	for _, token := range tokens {
		end := told[token+" session.succeeded"]
		l.up.mu.Lock()
		late := end.at.Sub(l.up.signing(token).ends)
		l.up.mu.Unlock()
		latest = max(latest, late)
		if late > worst {
			l.t.Errorf("%s is told %v after its end", token, late)
		}
	}
	for what, one := range told {
		if len(one.ids) != 1 {
			l.t.Errorf("%s has the ids %v", what, slices.Collect(maps.Keys(one.ids)))
		}
	}
	return latest
}

// telling is what was told of a signing, of one type.
type telling struct {
	at      time.Time // the first time
	ids     map[string]bool
	session string // its id
}

func (l *lab) told() map[string]*telling {
	told := map[string]*telling{}
	for _, w := range l.hooks.Got() {
		what := fmt.Sprint(w.Data["token"], " ", w.Type)
		if told[what] == nil {
			told[what] = &telling{w.At, map[string]bool{}, fmt.Sprint(w.Data["session"])}
		}
		told[what].ids[w.ID()] = true
	}
	return told
}

// pollOn has clients poll signings through the load balancer, until stop is called, which returns
// how they were answered.
func (l *lab) pollOn(tokens []string) (stop func() (answers map[int]int, wrong []string)) {
	stopped := make(chan struct{})
	var mu sync.Mutex
	answers, wrong := map[int]int{}, []string{}
	var slow []string
	var polling sync.WaitGroup
	for range 8 {
		polling.Go(func() {
			for {
				select {
				case <-stopped:
					return
				case <-time.After(50 * time.Millisecond): // a client's own pace
				}
				began := time.Now()
				token := tokens[mathrand.N(len(tokens))]
				status, answer := poll(l.front, token)
				took := time.Since(began).Round(time.Millisecond)
				mu.Lock()
				answers[status]++
				if took > slowPoll {
					slow = append(slow, fmt.Sprintf("%s of %s: %v", began.Format("15:04:05.000"), token, took))
				}
				if status != 200 && len(wrong) < 20 {
					wrong = append(wrong, fmt.Sprintf("%s after %v: %d %.200s", began.Format("15:04:05.000"), time.Since(began), status, answer))
				}
				mu.Unlock()
			}
		})
	}
	return func() (map[int]int, []string) {
		close(stopped)
		polling.Wait()
		if len(slow) > 0 {
			l.t.Logf("polls that took longer than %v: %v", slowPoll, slow)
		}
		return answers, wrong
	}
}

// slowPoll is longer than a poll takes that can be answered with what is known.
const slowPoll = 3 * time.Second

// neverTwoForLong checks that no signing was polled more often than once in a window, except for a
// window here and there when it changed hands.
func (l *lab) neverTwoForLong(tokens []string, changes int) {
	l.t.Helper()
	window := time.Second
	if slices.Contains(l.settings, adaptive) {
		window /= 4 // the shortest gap
	}
	for _, token := range tokens {
		polls, _ := l.up.asked(token)
		close := 0
		for i := 1; i < len(polls); i++ {
			if polls[i].Sub(polls[i-1]) < window*95/100 {
				close++
			}
		}
		if close > 2*changes {
			l.t.Errorf("%s was polled %d times, %d of them within a window of the one before", token, len(polls), close)
		}
	}
}
