package watch_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
)

// addItem adds what an earlier version had in its queue for a watch.
func (l *lab) addItem(token, generation string) {
	l.t.Helper()
	queue, err := l.store.Queue(l.t.Context(), store.QueueConfig{Name: "watches", AckWait: time.Minute})
	testkit.NoError(l.t, err)
	testkit.NoError(l.t, queue.Add(l.t.Context(), "watch", l.id(token)+"-"+generation, l.w.Item(l.variant(token))))
}

// TestWatchesOfAnEarlierVersion had items in a queue, which came before their records. One
// whose record there was no time for is taken up, one whose session has ended is not.
func TestWatchesOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("over", session.Succeeded)
	over := l.watch("over")
	l.next(event.TypeSucceeded)
	l.awaitEnd(over.ID, "succeeded")
	l.addItem("over", "1732800000000000000")
	l.addItem("begun", "1732800000000000001")
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

// TestItemsAreTakenUpInTheEnd: while that fails it is tried again, and nobody can erase a session
// that one of the items would bring back at the next start.
func TestItemsAreTakenUpInTheEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.addItem("begun", "1732800000000000001")
	l.close()
	l.prepare()
	l.store.Engine.Report(errors.New("a write has failed")) // until the engine has started its server anew
	testkit.NoError(t, l.w.Start())
	testkit.NoError(t, l.w.Delete(t.Context(), l.id("begun")))
	l.restart()
	<-l.w.TakenUp()
	if n := l.w.Live(); n != 0 {
		t.Errorf("%d sessions are watched after the only one was erased", n)
	}
}

// TestRecordsAreReadOnce where taking up the items of an earlier version fails.
func TestRecordsAreReadOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.close()
	l.prepare()
	conn := l.store.Engine.Conn()
	var records, items atomic.Int64 // how often they were asked for
	for subject, asked := range map[string]*atomic.Int64{"$JS.API.CONSUMER.CREATE.TABLE_sessions.>": &records, "$JS.API.STREAM.INFO.QUEUE_watches": &items} {
		_, err := conn.Subscribe(subject, func(*nats.Msg) { asked.Add(1) })
		testkit.NoError(t, err)
	}
	js, err := jetstream.New(conn)
	testkit.NoError(t, err)
	queue := jetstream.StreamConfig{Name: "QUEUE_watches", Subjects: []string{"QUEUE_watches.>"}} // cannot be read
	_, err = js.CreateStream(t.Context(), queue)
	testkit.NoError(t, err)
	testkit.NoError(t, l.w.Start())
	testkit.Eventually(t, "items are looked for again", func() bool { return items.Load() > 2 })
	queue.AllowDirect = true
	_, err = js.UpdateStream(t.Context(), queue)
	testkit.NoError(t, err)
	testkit.Receive(t, "all is taken up", l.w.TakenUp())
	if n := records.Load(); n != 1 {
		t.Errorf("records were read %d times; want once", n)
	}
}
