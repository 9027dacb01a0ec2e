package store_test

import (
	"context"
	"log/slog"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Timeout)
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
	s, err := store.Open(within(t), cfg, store.Options{Log: (&testkit.LogBuffer{}).Logger(slog.LevelInfo)})
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
