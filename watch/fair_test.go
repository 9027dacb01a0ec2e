package watch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

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
	// Evenly: nobody waits for longer than a bound in time (see due), in which a machine that stands still
	// and then hurries would give any number of turns.
	even := time.NewTicker(500 * time.Microsecond)
	defer even.Stop()
	for range sessions * rounds {
		<-even.C
		turns <- struct{}{}
	}
	for i := range sessions {
		if n := l.questions(fmt.Sprint("tok", i)); n < rounds/3 || n > 3*rounds {
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
