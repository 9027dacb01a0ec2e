package watch_test

import (
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
)

// TestWatchesOfAnEarlierVersion had items in a queue, which came before their records. One
// whose record there was no time for is taken up, one whose session has ended is not.
func TestWatchesOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("over", session.Succeeded)
	over := l.watch("over")
	l.next(event.TypeSucceeded)
	l.awaitEnd(over.ID, "succeeded")
	queue, err := l.store.Queue(t.Context(), store.QueueConfig{Name: "watches", AckWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for token, generation := range map[string]string{"over": "1732800000000000000", "begun": "1732800000000000001"} {
		v := l.variant(token)
		if err := queue.Add(t.Context(), "watch", l.id(token)+"-"+generation, l.w.Item(v)); err != nil {
			t.Fatal(err)
		}
	}
	asked := l.questions("over")
	for range 2 {
		l.restart()
		<-l.w.TakenUp()
		l.awaitQuestions("begun", 2)
		if n := l.w.Live(); n != 1 || l.watched() != 1 || l.questions("over") != asked {
			t.Errorf("%d sessions are watched, %d after a start; want the one that has not ended", n, l.watched())
		}
	}
	l.say("begun", session.Refused)
	l.next(event.TypeRefused)
	l.awaitEnd(l.id("begun"), "refused")
}
