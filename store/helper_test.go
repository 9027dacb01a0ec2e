package store_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"pollbridge/internal/logtest"
	"pollbridge/store"
)

// patience is how long a test waits for what should come at once.
const patience = time.Minute

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func config(dir string) store.Config {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Sync = dir, store.SyncInterval
	return cfg
}

// open opens a store that is closed with the test, at the latest.
func open(t testing.TB, cfg store.Config) (s *store.Store, shut func()) {
	t.Helper()
	s, err := store.Open(within(t), cfg, store.Options{Log: slog.New(slog.NewTextHandler(&logtest.Buffer{}, nil))})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	closed := false
	shut = func() {
		if closed {
			return
		}
		closed = true
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(shut)
	return s, shut
}

func fresh(t testing.TB) *store.Store {
	t.Helper()
	s, _ := open(t, config(t.TempDir()))
	return s
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

// receive waits for what comes through a channel.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("waited %s in vain: %s", patience, what)
		panic("not reached")
	}
}
