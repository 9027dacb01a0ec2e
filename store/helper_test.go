package store_test

import (
	"log/slog"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// settings are those of a store and of the engine below it.
type settings struct {
	store.Config
	Engine engine.Config
}

func config(dir string) settings { return settings{store.DefaultConfig(), teststore.In(dir)} }

// open opens a store that is closed with the test, at the latest.
func open(t testing.TB, cfg settings) (s *teststore.Store, shut func()) {
	t.Helper()
	s, err := teststore.Open(testkit.Within(t), cfg.Engine, cfg.Config, (&testkit.LogBuffer{}).Logger(slog.LevelInfo))
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
