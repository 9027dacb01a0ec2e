package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// hangingFinals are those of a store that hangs until it is well.
type hangingFinals struct {
	*testkit.Finals
	well atomic.Bool
}

func (f *hangingFinals) hang(ctx context.Context) error {
	if !f.well.Load() {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (f *hangingFinals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if err := f.hang(ctx); err != nil {
		return err
	}
	return f.Finals.Keep(ctx, v, o)
}

func (f *hangingFinals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	return f.Finals.Load(ctx, v)
}

// TestHangingStoreHoldsUpOnce: the first who needs it waits for as long as anybody may, and the
// others hardly at all until it goes on.
func TestHangingStoreHoldsUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &hangingFinals{Finals: &testkit.Finals{}}
		s := newStatuses(t, config(), always(signed), with(f))
		poll := func(token string, least, most time.Duration) {
			t.Helper()
			began := time.Now()
			want(t, s, question(t, token, lt), session.Succeeded, `{"status":"ok"}`)
			if took := time.Since(began); took < least || took > most {
				t.Errorf("the answer about %s took %v; want %v to %v", token, took, least, most)
			}
		}
		poll("first", 5*time.Second, 6*time.Second)
		poll("second", 0, time.Second)
		f.well.Store(true)
		time.Sleep(10 * time.Second) // both are stored after all
		poll("well", 0, 0)
		f.well.Store(false)
		poll("again", 5*time.Second, 6*time.Second)
	})
}
