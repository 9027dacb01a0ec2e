package admin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestFinalAnswersWithoutRoom are given up in the end, and hold nothing then.
func TestFinalAnswersWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnsent(prometheus.NewRegistry())
		answer := func(size int) (func(), error) {
			ctx, cancel := context.WithTimeout(t.Context(), callTime)
			defer cancel()
			return u.final(ctx, func() ([]byte, error) { return make([]byte, size), nil })
		}
		sent, err := answer(mostFinals + 1) // the largest have to go, too
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * readingFinals {
			go func() {
				if _, err := answer(1); !errors.Is(err, errNoRoom) {
					t.Errorf("without room: %v", err)
				}
			}()
		}
		synctest.Wait()
		if got := u.bytes.Load(); got != mostFinals+1+readingFinals {
			t.Errorf("%d bytes are counted while others wait", got)
		}
		time.Sleep(callTime)
		synctest.Wait()
		sent()
		sent()
		if got := u.bytes.Load(); got != 0 {
			t.Errorf("%d bytes are counted when all is over", got)
		}
		if _, err := answer(mostFinals); err != nil {
			t.Errorf("with room: %v", err)
		}
		wrong := errors.New("x")
		if _, err := u.final(t.Context(), func() ([]byte, error) { return nil, wrong }); err != wrong {
			t.Errorf("what cannot be read: %v", err)
		}
	})
}
