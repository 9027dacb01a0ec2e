package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// TestLackingAKey: what one process cannot read, as it lacks a key, goes to one that can.
func TestLackingAKey(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("what is left to others comes again after 5 s")
	}
	o := newOutside(t)
	o.keys("1")
	lacking := o.store()
	o.keys("2", "1")
	having := o.store()
	nc := o.connect().nc
	said := testkit.Must(nc.SubscribeSync("$JS.ACK.>"))(t)
	testkit.NoError(t, nc.Flush())
	left := func(stream string) {
		t.Helper()
		for {
			m := testkit.Must(said.NextMsgWithContext(testkit.Within(t)))(t)
			if !strings.HasPrefix(m.Subject, "$JS.ACK."+stream+".") {
				continue
			}
			if !strings.HasPrefix(string(m.Data), "-NAK") {
				t.Fatalf("%s of %s; want it to be left to others", m.Data, m.Subject)
			}
			return
		}
	}

	follow := func(s *store.Store) (entries chan string, stop func()) {
		entries = make(chan string, 1)
		journal := testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- journal.Follow(ctx, "reader", func(_ context.Context, e store.Entry, done func()) error {
				entries <- e.Key
				done()
				return nil
			}, nil)
		}()
		return entries, func() {
			end()
			testkit.NoError(t, <-ended)
		}
	}
	_, stop := follow(lacking)
	events := testkit.Must(having.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
	testkit.Must(events.Append(testkit.Within(t), "a", []byte("value"), 0))(t)
	left("JOURNAL_events")
	stop()
	entries, stop := follow(having)
	defer stop()
	if got := testkit.Receive(t, "the entry", entries); got != "a" {
		t.Errorf("the entry %s; want a", got)
	}

	queue := func(s *store.Store) *store.Queue {
		return testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "work", AckWait: time.Hour}))(t)
	}
	consumer := testkit.Must(queue(lacking).Consume("a", 10, func(*store.Item) { t.Error("an item was read without its key") }))(t)
	testkit.NoError(t, queue(having).Add(testkit.Within(t), "a", "item", []byte("value")))
	left("QUEUE_work")
	consumer.Stop()
	items, _ := take(t, queue(having), "a", 10)
	item := testkit.Receive(t, "the item", items)
	testkit.NoError(t, item.DoubleAck(testkit.Within(t)))
}
