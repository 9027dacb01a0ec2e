package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
)

// openStore opens a store as a replica of a fleet does. All have one key.
func openStore(t *testing.T, cfg cluster.Config) *store.Store {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	c, err := cluster.Open(testkit.Within(t), cfg, log)
	testkit.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	key, err := store.LoadKey(store.DefaultConfig(), keyDir(t), true)
	testkit.NoError(t, err)
	var s *store.Store
	testkit.Eventually(t, "the store can be opened: a stream that has just been made may not answer yet", func() bool {
		if s, err = store.Open(testkit.Within(t), store.DefaultConfig(), store.Options{Connection: c, Key: key, Log: log, Prefix: cfg.Prefix, Replicas: cfg.Replicas, Shared: true}); err != nil {
			t.Log(err)
		}
		return err == nil
	})
	t.Cleanup(s.Close)
	return s
}

var keys sync.Map // the directory of each test's key

func keyDir(t *testing.T) string {
	dir, known := keys.LoadOrStore(t.Name(), t.TempDir())
	if !known {
		t.Cleanup(func() { keys.Delete(t.Name()) })
	}
	return dir.(string)
}

// TestBeginsBesideTheServers: who comes while the servers begin, and do not know of each other yet, waits.
func TestBeginsBesideTheServers(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{Begun: true})
	s := openStore(t, configOf(servers))
	testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	testkit.Must(finals.Open(testkit.Within(t), s))(t)
}

// TestTwoStoresOfOneCluster: what one writes, the other has.
func TestTwoStoresOfOneCluster(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	a, b := openStore(t, configOf(servers)), openStore(t, configOf(servers))

	t.Run("bucket", func(t *testing.T) {
		cfg := store.BucketConfig{Name: "things"}
		ofA, ofB := testkit.Must(a.Bucket(testkit.Within(t), cfg))(t), testkit.Must(b.Bucket(testkit.Within(t), cfg))(t)
		changes := make(chan store.Change, 10)
		watching := testkit.Must(ofB.Watch(t.Context(), ">", func(c store.Change) { changes <- c }))(t)
		revision := testkit.Must(ofA.Create(testkit.Within(t), "a", []byte("1"), 0))(t)
		if heard := testkit.Receive(t, "the other store hears of it", changes); heard.Key != "a" || string(heard.Value) != "1" {
			t.Errorf("heard of %v", heard)
		}
		testkit.Must(ofA.Put(testkit.Within(t), "b", nil, 0))(t)
		if testkit.NoError(t, watching.Current(testkit.Within(t))); len(changes) != 1 {
			t.Error("what counts as current was not told of")
		}
		if _, err := ofB.Create(testkit.Within(t), "a", nil, 0); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Create of what is there = %v", err)
		}
		testkit.Must(ofB.Update(testkit.Within(t), "a", []byte("2"), revision, 0))(t)
		if _, err := ofA.Update(testkit.Within(t), "a", []byte("3"), revision, 0); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Update of what has changed = %v", err)
		}
	})
	t.Run("journal", func(t *testing.T) {
		cfg := store.JournalConfig{Name: "happenings", MaxAge: time.Hour}
		ofA, ofB := testkit.Must(a.Journal(testkit.Within(t), cfg))(t), testkit.Must(b.Journal(testkit.Within(t), cfg))(t)
		go ofA.Append(context.WithoutCancel(t.Context()), "x", []byte("1"), 0)
		if entries := testkit.Must(ofB.After(testkit.Within(t), 0, 10))(t); len(entries) != 1 || entries[0].Key != "x" || string(entries[0].Value) != "1" {
			t.Errorf("After = %v", entries)
		}
	})
	t.Run("finals", func(t *testing.T) {
		ofA, ofB := testkit.Must(finals.Open(testkit.Within(t), a))(t), testkit.Must(finals.Open(testkit.Within(t), b))(t)
		endpoints, _ := session.Dialect("marksign")
		table := testkit.Must(session.NewTable(endpoints))(t)
		for i, size := range []int{10, 100 << 10, 3 << 20} {
			v := testkit.Must(table.Variant("smartid-sign", strings.Repeat("t", i+1), "sesame", "en"))(t)
			o := &session.Observation{At: time.Now(), Answer: session.Answer{State: session.Succeeded}, Content: &session.Content{Status: 200, Body: bytes.Repeat([]byte{'x'}, size)}}
			testkit.NoError(t, ofA.Keep(testkit.Within(t), v, o))
			testkit.Eventually(t, "the other store has the answer", func() bool {
				found := testkit.Must(ofB.Load(testkit.Within(t), v))(t)
				return len(found) == 1 && bytes.Equal(found[0].Body, o.Body)
			})
		}
	})
}

// TestAsking: who asks is answered by whoever answers the subject, wherever that is.
func TestAsking(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 1, natscluster.Settings{})
	a, b := openStore(t, configOf(servers)), openStore(t, configOf(servers))
	if _, err := a.Ask(testkit.Within(t), "x.1", nil); !errors.Is(err, store.ErrNobody) {
		t.Errorf("Ask where nobody answers = %v", err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	going := make(chan struct{})
	answering := testkit.Must(b.Answer("x.*", func(ctx context.Context, subject string, question []byte) []byte {
		switch subject {
		case "x.large":
			return large
		case "x.slow":
			select {
			case <-going:
			case <-ctx.Done():
			}
		}
		return append([]byte(subject+" "), question...)
	}))(t)
	// Its answers come once the server knows of it.
	testkit.Eventually(t, "it answers", func() bool { _, err := a.Ask(testkit.Within(t), "x.1", nil); return err == nil })
	if answer := testkit.Must(a.Ask(testkit.Within(t), "x.1", []byte("?")))(t); string(answer) != "x.1 ?" {
		t.Errorf("Ask = %q", answer)
	}
	if answer := testkit.Must(a.Ask(testkit.Within(t), "x.large", nil))(t); !bytes.Equal(answer, large) {
		t.Errorf("Ask = %d bytes", len(answer))
	}
	time.AfterFunc(2500*time.Millisecond, func() { close(going) }) // longer than one may be silent
	if answer := testkit.Must(a.Ask(testkit.Within(t), "x.slow", []byte("?")))(t); string(answer) != "x.slow ?" {
		t.Errorf("Ask = %q", answer)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	going = make(chan struct{})
	if _, err := a.Ask(short, "x.slow", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask of one with little time = %v", err)
	}
	answering.Stop()
	testkit.Eventually(t, "nobody answers any more", func() bool {
		_, err := a.Ask(testkit.Within(t), "x.1", nil)
		return errors.Is(err, store.ErrNobody)
	})
	// One that was stopped with SIGSTOP is there, and says nothing.
	testkit.Must(servers.Connect(t, 0).Subscribe("pollbridge.ask.y", func(*nats.Msg) {}))(t)
	testkit.Eventually(t, "one is there who says nothing", func() bool {
		_, err := a.Ask(testkit.Within(t), "y", nil)
		return errors.Is(err, store.ErrSilent)
	})
}
