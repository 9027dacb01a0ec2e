package store_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// TestBothWaysToRead: whichever server is asked, it says the same where there is only one.
func TestBothWaysToRead(t *testing.T) {
	t.Parallel()
	things := bucket(t, fresh(t), 0)
	testkit.Must(things.Put(testkit.Within(t), "a", []byte("1"), 0))(t)
	for _, key := range []string{"a", "none"} {
		anywhere, err := things.Get(testkit.Within(t), key)
		leading, leadingErr := things.Read(testkit.Within(t), key)
		if !reflect.DeepEqual(anywhere, leading) || !errors.Is(leadingErr, err) {
			t.Errorf("%s is %+v, %v; the server that leads says %+v, %v", key, anywhere, err, leading, leadingErr)
		}
	}
	if err := things.Delete(testkit.Within(t), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := things.Read(testkit.Within(t), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("read of a deleted key: %v; want ErrNotFound, of which a header tells", err)
	}
}

// TestTheLeaderComesLater: what somebody knows of and the server that leads does not is not gone. That is
// waited for, not for long.
func TestTheLeaderComesLater(t *testing.T) {
	t.Parallel()
	ctx, events := testkit.Within(t), journal(t, fresh(t))
	first := testkit.Must(events.Append(ctx, "a", []byte("1"), 0))(t)
	coming := first + 1
	if _, err := events.GetCopied(ctx, coming); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("what has not come is %v; want an error that says so", err)
	}
	if more, err := events.Follows(ctx, first, coming); !more || err != nil {
		t.Errorf("an entry that is to come follows: %t, %v", more, err)
	}
	got := make(chan store.Entry)
	go func() {
		e, err := events.GetCopied(ctx, coming)
		if err != nil {
			t.Error(err)
		}
		got <- e
	}()
	testkit.Must(events.Append(ctx, "b", []byte("2"), 0))(t)
	if e := testkit.Receive(t, "the entry", got); string(e.Value) != "2" {
		t.Errorf("what came is %+v; want 2", e)
	}
	testkit.NoError(t, events.Erase(ctx, "b"))
	if _, err := events.GetCopied(ctx, coming); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was erased is %v; want ErrNotFound", err)
	}
	if more, err := events.Follows(ctx, first, coming); more || err != nil {
		t.Errorf("an entry that was erased follows: %t, %v", more, err)
	}
	if more, err := events.Follows(ctx, first-1, coming); !more || err != nil {
		t.Errorf("the one before it follows: %t, %v", more, err)
	}
}

// TestDeletedBeforeTheLeaderKnows: a value that somebody has seen is deleted, not taken for one that never was.
func TestDeletedBeforeTheLeaderKnows(t *testing.T) {
	t.Parallel()
	ctx, s := testkit.Within(t), fresh(t)
	b := testkit.Must(s.Bucket(ctx, store.BucketConfig{Name: "things"}))(t)
	first := testkit.Must(b.Put(ctx, "a", []byte("1"), 0))(t)
	if err := b.Copied().DeleteSince(ctx, "b", first+1); !errors.Is(err, store.ErrBehind) {
		t.Errorf("deleting what has not come: %v; want ErrBehind", err)
	}
	coming := testkit.Must(b.Put(ctx, "b", []byte("2"), 0))(t)
	testkit.NoError(t, b.Copied().DeleteSince(ctx, "b", coming))
	if _, err := b.Get(ctx, "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was deleted is %v; want ErrNotFound", err)
	}
}

// TestReadersLeaveNothing: the server has no consumer for what was read or watched until now; of a
// stream it takes only so many.
func TestReadersLeaveNothing(t *testing.T) {
	t.Parallel()
	outside := newOutside(t)
	connection := outside.connect()
	s := testkit.Must(openShared(t, connection, outside.dir))(t)
	b := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	testkit.Must(b.Put(testkit.Within(t), "a.1", []byte("1"), 0))(t)
	ctx, stop := context.WithCancel(t.Context())
	for _, match := range []string{"a.*", "nothing.*"} {
		testkit.NoError(t, b.Each(testkit.Within(t), func([]store.Record) {}, match))
		testkit.Must(b.Watch(ctx, match, func(store.Change) {}))(t)
	}
	server := testkit.Must(testkit.Must(jetstream.New(connection.Conn()))(t).Stream(testkit.Within(t), "TABLE_things"))(t)
	consumers := func() (n int) {
		for info := range server.ListConsumers(testkit.Within(t)).Info() {
			if n++; info.Config.InactiveThreshold > 2*time.Minute {
				t.Errorf("a consumer stays for %v where its process was killed", info.Config.InactiveThreshold)
			}
		}
		return n
	}
	testkit.Eventually(t, "who watches has a consumer, nobody else", func() bool { return consumers() == 2 })
	stop()
	testkit.Eventually(t, "nobody has", func() bool { return consumers() == 0 })
}
