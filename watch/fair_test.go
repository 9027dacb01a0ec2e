package watch_test

import (
	"context"
	"fmt"
	"testing"

	"pollbridge/session"
)

// TestNobodyIsOvertaken: when more is due than the upstream may be asked, everyone has
// their turn.
func TestNobodyIsOvertaken(t *testing.T) {
	t.Parallel()
	const sessions, rounds = 600, 10 // more than there are workers
	turns := make(chan struct{})
	l := newLab(t, func(l *lab) { l.turns = turns })
	for i := range sessions {
		token := fmt.Sprint("tok", i)
		l.say(token, session.Pending)
		l.watch(token)
	}
	for range sessions * rounds {
		turns <- struct{}{}
	}
	for i := range sessions {
		// Nobody waits for longer than a bound in time (see due), which on a machine that stands still
		// now and then, and hurries after it, says little of how many turns that is.
		if n := l.questions(fmt.Sprint("tok", i)); n == 0 || n > 3*rounds {
			t.Errorf("session %d had %d turns, want about %d", i, n, rounds)
		}
	}
}

// waitForTurn waits until an upstream that limits its rate may be asked.
func (l *lab) waitForTurn(ctx context.Context) error {
	if l.turns == nil {
		return nil
	}
	select {
	case <-l.turns:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
