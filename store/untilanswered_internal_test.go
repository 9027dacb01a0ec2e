package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// asked is what is asked of a server that answers the n-th question after a while, and none where that is 0.
func asked(answered int, after time.Duration, err error) (ask func(context.Context) (int, error), questions *atomic.Int32) {
	questions = new(atomic.Int32)
	return func(ctx context.Context) (int, error) {
		n := int(questions.Add(1))
		if n != answered {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}
		time.Sleep(after)
		return n, err
	}, questions
}

func TestUntilAnswered(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name      string
		alone     bool // the server is embedded
		answered  int
		after     time.Duration
		err       error
		patience  time.Duration
		questions int
		took      time.Duration
		want      error
	}{
		{"at once", false, 1, 0, nil, 10 * time.Second, 1, 0, nil},
		{"the first is lost", false, 2, 0, nil, 10 * time.Second, 2, time.Second, nil},
		{"two are lost", false, 3, 0, nil, 10 * time.Second, 3, 3 * time.Second, nil},
		{"the server is slow", false, 1, 4 * time.Second, nil, 10 * time.Second, 3, 4 * time.Second, nil},
		{"it refuses", false, 2, 0, refused, 10 * time.Second, 2, time.Second, refused},
		{"all are lost", false, 0, 0, nil, 10 * time.Second, 4, 10 * time.Second, context.DeadlineExceeded},
		{"the embedded one is slow", true, 1, 4 * time.Second, nil, 10 * time.Second, 1, 4 * time.Second, nil},
		{"there is no time for another", false, 0, 0, nil, 500 * time.Millisecond, 1, 500 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.patience)
				defer cancel()
				ask, questions := asked(tt.answered, tt.after, tt.err)
				begun := time.Now()
				got, err := untilAnswered(ctx, &Store{shared: !tt.alone}, ask)
				if took := time.Since(begun); !errors.Is(err, tt.want) || took != tt.took || int(questions.Load()) != tt.questions {
					t.Errorf("%v after %v and %d questions, want %v after %v and %d", err, took, questions.Load(), tt.want, tt.took, tt.questions)
				}
				if err == nil && got != tt.answered {
					t.Errorf("the answer is that to question %d, want that to %d", got, tt.answered)
				}
			})
		})
	}
}
