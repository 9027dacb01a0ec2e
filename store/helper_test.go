package store_test

import (
	"context"
	"log/slog"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/store/engine"
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Timeout)
	t.Cleanup(cancel)
	return ctx
}

// settings are those of a store and of the engine below it.
type settings struct {
	store.Config
	Engine engine.Config
}

func config(dir string) settings { return settings{store.DefaultConfig(), teststore.In(dir)} }

// open opens a store that is closed with the test, at the latest.
func open(t testing.TB, cfg settings) (s *teststore.Store, shut func()) {
	t.Helper()
	s, err := teststore.Open(within(t), cfg.Engine, cfg.Config, (&testkit.LogBuffer{}).Logger(slog.LevelInfo))
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

func fresh(t testing.TB) *teststore.Store {
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
