package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// followed is an entry that is out.
type followed struct {
	store.Entry
	done func()
}

// followShared follows a journal that several processes follow, until the test ends.
func followShared(t *testing.T, o *outside, f func(context.Context, store.Entry, func()) error) *store.Journal {
	t.Helper()
	events := testkit.Must(o.store().Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := events.Follow(ctx, "reader", f, nil); err != nil {
			t.Errorf("Follow: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-stopped })
	return events
}

func followedTo(t *testing.T, events *store.Journal, sequence uint64) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("entry %d is over", sequence), func() bool {
		return testkit.Must(events.Followed(testkit.Within(t), "reader"))(t) == sequence
	})
}

// TestAnEntryComesAgainWhileItIsOut: whoever is at work on it goes on, and it takes no more room
// than one.
func TestAnEntryComesAgainWhileItIsOut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("hands an entry out 1,100 times")
	}
	const often = 1100 // more than there is room for
	o := newOutside(t)
	out := make(chan followed, 2*often)
	events := followShared(t, o, func(_ context.Context, e store.Entry, done func()) error {
		out <- followed{e, done}
		return nil
	})
	testkit.Must(events.Append(testkit.Within(t), "a", nil, 0))(t)
	first := testkit.Receive(t, "an entry", out)
	ctx, nc := testkit.Within(t), o.connect().nc
	consumer := testkit.Must(testkit.Must(jetstream.New(nc))(t).Consumer(ctx, "JOURNAL_events", "reader"))(t)
	for delivered := uint64(1); delivered < often; delivered++ {
		testkit.NoError(t, nc.Publish(fmt.Sprintf("$JS.ACK.JOURNAL_events.reader.1.1.%d.0.0", delivered), []byte("-NAK")))
		for testkit.Must(consumer.Info(ctx))(t).Delivered.Consumer <= delivered {
		}
		if len(out) > 0 {
			t.Fatal("an entry was handed out again while it was out")
		}
	}
	testkit.Must(events.Append(testkit.Within(t), "b", nil, 0))(t)
	second := testkit.Receive(t, "the next entry", out)
	if second.Key != "b" || second.Again {
		t.Errorf("handed out: %+v; want b", second.Entry)
	}
	second.done()
	first.done()
	followedTo(t, events, second.Sequence)
}

// TestEntriesThatWaitForAnother are not taken for lost.
func TestEntriesThatWaitForAnother(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	var works atomic.Bool
	var came []string // by the follower alone
	events := followShared(t, o, func(_ context.Context, e store.Entry, done func()) error {
		if !works.Load() {
			return errors.New("it cannot be handed on")
		}
		came = append(came, e.Key)
		done()
		return nil
	})
	acks := testkit.Must(o.connect().nc.SubscribeSync("$JS.ACK.JOURNAL_events.reader.>"))(t)
	last := uint64(0)
	for i := range 10 {
		last = testkit.Must(events.Append(testkit.Within(t), fmt.Sprint(i), nil, 0))(t)
	}
	for ctx, renewed := testkit.Within(t), map[string]bool{}; len(renewed) < 10; {
		m := testkit.Must(acks.NextMsgWithContext(ctx))(t)
		if string(m.Data) != "+WPI" {
			t.Fatalf("%s of an entry that nobody could be handed", m.Data)
		}
		renewed[strings.Split(m.Subject, ".")[5]] = true // its sequence
	}
	works.Store(true)
	followedTo(t, events, last)
	if got := strings.Join(came, ""); got != "0123456789" {
		t.Errorf("handed out: %s", got)
	}
}
