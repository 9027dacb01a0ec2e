//go:build trial

package trial_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestKilledAtOnce: a replica is killed without a word at exactly the moment when it does one thing
// and has not done the next. All that it was about is told, under one id.
func TestKilledAtOnce(t *testing.T) {
	for _, m := range []struct {
		name string
		// until returns the replica to kill, once that has come to the moment about a signing that is
		// watched. goOn has all others go on when it is gone.
		until func(l *lab, token string) (r *replica, goOn func())
	}{
		{"polling", (*lab).held},
		{"storing a final answer, which is lost", func(l *lab, token string) (*replica, func()) {
			r, answer := l.held(token)
			l.cut(r, true)
			l.up.end(token, time.Now())
			answer()
			l.answered(token)
			return r, func() {}
		}},
		{"storing a final answer, the only one", func(l *lab, token string) (*replica, func()) {
			r, answer := l.held(token)
			before := len(l.finals().State.Subjects)
			for _, relay := range l.relays[r] {
				relay.Deaf.Store(true)
			}
			l.up.endOnce(token, time.Now())
			answer()
			testkit.Eventually(l.t, "the answer is stored", func() bool { return len(l.finals().State.Subjects) == before+1 })
			return r, func() {}
		}},
		{"fanning out", func(l *lab, token string) (*replica, func()) {
			r, goOn := l.delivering(token, 1)
			testkit.Eventually(l.t, "another subscription is told", func() bool { return len(l.idsAt("/other", token)) > 0 })
			return r, goOn
		}},
		{"delivering again", func(l *lab, token string) (*replica, func()) { return l.delivering(token, 2) }},
	} {
		t.Run(m.name, func(t *testing.T) {
			l := newLab(t, 3)
			if status, answer := l.replicas[0].call("POST", "/v1/subscriptions", []byte(`{"url":"`+l.hooks.URL+`/other","events":["session.succeeded"]}`)); status != 201 {
				t.Fatalf("the subscription is answered %d %s", status, answer)
			}
			const token = "one"
			if status, answer := poll(l.front, token); status != 200 {
				t.Fatalf("the first poll is answered %d %s", status, answer)
			}
			r, goOn := m.until(l, token)
			r.Kill()
			killed := time.Now()
			goOn()
			l.up.endUnlessOver(token, killed)
			testkit.Eventually(t, "both subscriptions are told", func() bool {
				return len(l.idsAt("/other", token)) > 0 && slices.ContainsFunc(l.hooks.Got(), func(w testkit.Webhook) bool {
					return w.Path == "/" && w.Type == "session.succeeded" && w.At.After(killed)
				})
			})
			l.delivered([]string{token}, time.Minute)
			if ids := append(l.idsAt("/", token), l.idsAt("/other", token)...); len(slices.Compact(ids)) != 1 {
				t.Errorf("the end is told under the ids %v", ids)
			}
			got := l.hooks.Got()
			late := got[len(got)-1].At.Sub(killed)
			t.Logf("told %v after the replica was killed", late.Round(time.Millisecond))
			if late > moved {
				t.Errorf("that is later than %v", moved)
			}
		})
	}
}

// idsAt is the ids under which the end of a signing was told to a subscription.
func (l *lab) idsAt(path, token string) (ids []string) {
	for _, w := range l.hooks.Got() {
		if w.Path == path && w.Data["token"] == token && w.Type == "session.succeeded" && !slices.Contains(ids, w.ID()) {
			ids = append(ids, w.ID())
		}
	}
	return ids
}

// held waits until the upstream is asked about a signing, and holds its answer back until goOn is
// called. It returns who asks.
func (l *lab) held(token string) (asks *replica, goOn func()) {
	l.t.Helper()
	from, goOn := l.up.hold(token)
	l.t.Cleanup(goOn)
	address := testkit.Receive(l.t, "the upstream is asked", from)
	i := slices.IndexFunc(l.replicas, func(r *replica) bool { return r.public == address })
	if i < 0 {
		l.t.Fatalf("%s asks, which is no replica", address)
	}
	return l.replicas[i], goOn
}

// answered waits until the upstream has answered a poll about a signing.
func (l *lab) answered(token string) {
	l.t.Helper()
	testkit.Eventually(l.t, "the upstream has answered", func() bool {
		l.up.mu.Lock()
		defer l.up.mu.Unlock()
		s := l.up.signing(token)
		return s.told && s.flying == 0
	})
}

// delivering waits until an attempt to deliver the end of a signing is under way, which is not
// answered until goOn is called. Those before are refused. It returns who makes it.
func (l *lab) delivering(token string, attempt int32) (delivers *replica, goOn func()) {
	l.t.Helper()
	from, released := make(chan string, 1), make(chan struct{})
	var attempts atomic.Int32
	l.hooks.Set(func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Path == "/" && got.Data["token"] == token && got.Type == "session.succeeded" {
			switch n := attempts.Add(1); {
			case n < attempt:
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			case n == attempt:
				from <- got.From
				<-released
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	goOn = sync.OnceFunc(func() { close(released) })
	l.t.Cleanup(goOn)
	l.up.end(token, time.Now())
	return l.whose(testkit.Receive(l.t, "the receiver is told", from)), goOn
}

// whose returns the replica that has a connection from a port, HOST:PORT, to the receiver.
func (l *lab) whose(address string) *replica {
	l.t.Helper()
	_, port, err := net.SplitHostPort(address)
	testkit.NoError(l.t, err)
	to, err := url.Parse(l.hooks.URL)
	testkit.NoError(l.t, err)
	inode := inodeOf(l.t, port, to.Port())
	for _, r := range l.replicas {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.PID()))
		for _, link := range links {
			if socket, _ := os.Readlink(link); socket == "socket:["+inode+"]" {
				return r
			}
		}
	}
	l.t.Fatalf("no replica has a connection from %s", address)
	return nil
}

// inodeOf is that of the TCP connection from a local port to a remote one: others have the same local port.
func inodeOf(t *testing.T, port, to string) string {
	t.Helper()
	table, err := os.Open("/proc/net/tcp")
	testkit.NoError(t, err)
	defer table.Close()
	var n, remote int
	fmt.Sscan(port, &n)
	fmt.Sscan(to, &remote)
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", n)) && strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", remote)) && fields[9] != "0" {
			return fields[9]
		}
	}
	t.Fatalf("there is no connection from port %s to %s", port, to)
	return ""
}
