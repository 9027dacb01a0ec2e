package finals_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
)

// open opens a store that is closed with the test, at the latest.
func open(t testing.TB, dir string, cfg store.Config) (s *teststore.Store, shut func()) {
	t.Helper()
	s = testkit.Must(teststore.Open(testkit.Within(t), teststore.In(dir), cfg, (&testkit.LogBuffer{}).Logger(slog.LevelInfo)))(t)
	closed := false
	shut = func() {
		if !closed {
			closed = true
			testkit.NoError(t, s.Close())
		}
	}
	t.Cleanup(shut)
	return s, shut
}

func fresh(t testing.TB) *teststore.Store {
	t.Helper()
	s, _ := open(t, t.TempDir(), store.DefaultConfig())
	return s
}

// further asks for a token with a field that most do not send.
func further(t testing.TB, token string, i int) *session.Variant {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	return question(t, endpoints, token, fmt.Sprintf(`{"access_token":"planted-credential","x":%d}`, i))
}

// document is an answer with a body of its own, made at a time.
func document(size int, at time.Time) *session.Observation {
	o := answer(lt, "")
	o.At, o.Body = at, make([]byte, size)
	rand.Read(o.Body)
	return o
}

// sameAs is an answer with the body of another one, made a while later.
func sameAs(o *session.Observation, later time.Duration) *session.Observation {
	same := answer(lt, string(o.Body))
	same.At = o.At.Add(later)
	return same
}
