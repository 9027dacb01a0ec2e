package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

func queue(t testing.TB, s *teststore.Store, renewal time.Duration) *store.Queue {
	t.Helper()
	return testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "work", AckWait: renewal}))(t)
}

func take(t testing.TB, q *store.Queue, subject string, n int) (<-chan *store.Item, *store.Consumer) {
	t.Helper()
	items := make(chan *store.Item, 30_000)
	consumer := testkit.Must(q.Consume(subject, n, func(i *store.Item) { items <- i }))(t)
	t.Cleanup(consumer.Stop)
	return items, consumer
}

func add(t testing.TB, q *store.Queue, subject string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := q.Add(testkit.Within(t), subject, name, []byte("value of "+name)); err != nil {
			t.Fatal(err)
		}
	}
}

func done(t testing.TB, items ...*store.Item) {
	t.Helper()
	for _, item := range items {
		if err := item.DoubleAck(testkit.Within(t)); err != nil {
			t.Fatalf("DoubleAck: %v", err)
		}
	}
}

func waiting(t testing.TB, q *store.Queue, subject string, now, later int) {
	t.Helper()
	gotNow, gotLater, err := q.Waiting(testkit.Within(t), subject)
	if err != nil || gotNow != now || gotLater != later {
		t.Errorf("Waiting(%q) = %d, %d, %v; want %d, %d", subject, gotNow, gotLater, err, now, later)
	}
}

func TestItemsAreTakenInOrderUntilDone(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), time.Minute)
	add(t, q, "a", "1", "2", "3", "2") // once within two minutes
	add(t, q, "b", "1")
	waiting(t, q, "a", 3, 0)
	waiting(t, q, "", 4, 0)
	waiting(t, q, "none", 0, 0)
	items, _ := take(t, q, "a", 2)
	first, second := testkit.Receive(t, "1", items), testkit.Receive(t, "2", items)
	if first.Name != "1" || second.Name != "2" || first.Subject != "a" || string(second.Value) != "value of 2" {
		t.Errorf("took %+v, %+v", first, second)
	}
	select {
	case item := <-items:
		t.Errorf("%s is out, too: more than 2", item.Name)
	case <-time.After(50 * time.Millisecond): // nothing can tell that nothing comes
	}
	waiting(t, q, "a", 3, 0)
	done(t, first)
	waiting(t, q, "a", 2, 0)
	third := testkit.Receive(t, "3", items)
	if err := second.Nak(); err != nil {
		t.Fatal(err)
	}
	again := testkit.Receive(t, "2 again", items)
	if again.Name != "2" || third.Name != "3" {
		t.Errorf("took %+v, %+v", third, again)
	}
	done(t, again, third)
	waiting(t, q, "", 1, 0)
	for _, token := range []string{"", "a.b", "*", ">", "ä"} {
		_, err := q.Consume(token, 1, nil)
		if err == nil || q.Add(testkit.Within(t), token, "a", nil) == nil || q.Add(testkit.Within(t), "a", token, nil) == nil {
			t.Errorf("%q was taken for a token", token)
		}
	}
}

func TestItemsComeBackUnlessRenewed(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), 2*time.Second)
	add(t, q, "a", "renewed", "left")
	items, _ := take(t, q, "a", 10)
	renewed := testkit.Receive(t, "renewed", items)
	left := testkit.Receive(t, "left", items)
	for range 3 { // of the one that comes back
		deadline := time.After(testkit.Timeout)
		for again := false; !again; {
			select {
			case item := <-items:
				if item.Name != "left" {
					t.Fatalf("%s came back", item.Name)
				}
				left, again = item, true
			case <-time.After(50 * time.Millisecond):
				if err := renewed.InProgress(); err != nil {
					t.Fatal(err)
				}
			case <-deadline:
				t.Fatal("left did not come back")
			}
		}
	}
	done(t, renewed, left)
	waiting(t, q, "", 0, 0)
}

func TestItemsWaitForTheirTime(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), time.Minute)
	start := time.Now()
	at := start.Add(700 * time.Millisecond)
	for _, add := range []struct {
		name, value string
		at          time.Time
	}{
		{"replaced", "old", start.Add(time.Hour)}, {"replaced", "new", at}, {"past", "x", start.Add(-time.Hour)},
		{"removed", "x", at}, {"never", "x", start.Add(time.Hour)},
	} {
		if err := q.AddAt(testkit.Within(t), "a", add.name, []byte(add.value), add.at); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Remove(testkit.Within(t), "a", "removed"); err != nil {
		t.Fatal(err)
	}
	items, _ := take(t, q, "a", 10)
	if item := testkit.Receive(t, "past", items); item.Name != "past" {
		t.Errorf("took %s first", item.Name)
	}
	item := testkit.Receive(t, "replaced", items)
	if late := time.Since(at); late < 0 || item.Name != "replaced" || string(item.Value) != "new" {
		t.Errorf("took %+v, %s late", item, late)
	}
	waiting(t, q, "a", 2, 1)
	add(t, q, "a", "waits")
	for _, name := range []string{"none", "waits", "never", "past", "replaced"} {
		if err := q.Remove(testkit.Within(t), "a", name); err != nil {
			t.Fatal(err)
		}
	}
	waiting(t, q, "", 0, 0)
}

func TestRemovedItemsAreNotHandedOut(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), time.Minute)
	add(t, q, "a", "1", "2", "3")
	for _, name := range []string{"2", "none"} {
		if err := q.Remove(testkit.Within(t), "a", name); err != nil {
			t.Fatal(err)
		}
	}
	items, _ := take(t, q, "a", 10)
	first := testkit.Receive(t, "1", items)
	if err := q.Remove(testkit.Within(t), "a", "1"); err != nil {
		t.Fatal(err)
	}
	third := testkit.Receive(t, "3", items)
	if first.Name != "1" || third.Name != "3" {
		t.Errorf("took %s, %s; want 1, 3", first.Name, third.Name)
	}
	done(t, first, third)
	waiting(t, q, "", 0, 0)
}

func TestStoppedConsumersLeaveItemsToTheNext(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), time.Minute)
	for i := range 50 {
		add(t, q, "a", fmt.Sprint(i))
	}
	var mu sync.Mutex
	var out []*store.Item
	three := make(chan struct{})
	consumer := testkit.Must(q.Consume("a", 40, func(i *store.Item) {
		mu.Lock()
		defer mu.Unlock()
		if out = append(out, i); len(out) == 3 {
			close(three)
		}
	}))(t)
	testkit.Receive(t, "three items", three)
	consumer.Stop()
	consumer.Stop()
	mu.Lock()
	kept := len(out)
	mu.Unlock()
	done(t, out[0]) // with nobody taking
	if err := out[1].Nak(); err != nil {
		t.Fatal(err)
	}
	if err := out[2].InProgress(); err != nil {
		t.Fatal(err)
	}
	items, _ := take(t, q, "a", 100)
	var names []string
	for range 50 - kept + 1 {
		item := testkit.Receive(t, "the rest", items)
		names = append(names, item.Name)
		done(t, item)
	}
	if slices.Contains(names, out[0].Name) || slices.Contains(names, out[2].Name) || !slices.Contains(names, out[1].Name) {
		t.Errorf("the next consumer got %v", names)
	}
	waiting(t, q, "a", kept-2, 0)
	done(t, out[2:]...) // that are out with the first consumer still
	waiting(t, q, "a", 0, 0)

	add(t, q, "b", "1")
	items, consumer = take(t, q, "b", 1)
	last := testkit.Receive(t, "an item", items)
	consumer.Stop()
	if err := q.Remove(testkit.Within(t), "b", "1"); err != nil {
		t.Fatal(err)
	}
	done(t, last) // what is not there any more is done
	mu.Lock()
	defer mu.Unlock()
	if len(out) != kept {
		t.Error("handed out after Stop")
	}
}

func TestManyItemsAreOutAtOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 20,000 times")
	}
	const many = 20_000
	q := queue(t, fresh(t), time.Hour)
	var adding sync.WaitGroup
	for worker := range 16 {
		adding.Go(func() {
			for i := range many / 16 {
				if err := q.Add(testkit.Within(t), "a", fmt.Sprintf("%d-%d", worker, i), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	adding.Wait()
	items, consumer := take(t, q, "a", 200_000)
	start := time.Now()
	var all []*store.Item
	for range many {
		all = append(all, testkit.Receive(t, "an item", items))
	}
	t.Logf("%d items taken in %s", many, time.Since(start))
	for _, item := range all {
		if err := item.InProgress(); err != nil {
			t.Fatal(err)
		}
	}
	if len(items) > 0 {
		t.Error("an item came back")
	}
	done(t, all[:100]...)
	consumer.Stop()
	again, _ := take(t, q, "a", 200_000)
	for _, item := range all[100:200] {
		if err := item.Nak(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		done(t, testkit.Receive(t, "a released item", again))
	}
	waiting(t, q, "a", many-200, 0)
}

// TestEverythingOutComesBackAfterRestart: at once, not when its renewal is due.
func TestEverythingOutComesBackAfterRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	q := queue(t, s, time.Hour)
	add(t, q, "a", "1", "2", "3")
	items, consumer := take(t, q, "a", 10)
	done(t, testkit.Receive(t, "1", items))
	testkit.Receive(t, "2", items)
	testkit.Receive(t, "3", items)
	if err := q.AddAt(testkit.Within(t), "a", "later", nil, time.Now().Add(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	consumer.Stop()
	shut()
	s, _ = open(t, config(dir))
	q = queue(t, s, time.Hour)
	items, _ = take(t, q, "a", 10)
	for _, name := range []string{"2", "3", "later"} {
		if item := testkit.Receive(t, name, items); item.Name != name {
			t.Errorf("took %s; want %s", item.Name, name)
		}
	}
}

func TestConsumersEndWithTheStore(t *testing.T) {
	t.Parallel()
	s, shut := open(t, config(t.TempDir()))
	q := queue(t, s, time.Minute)
	items, consumer := take(t, q, "a", 1)
	add(t, q, "a", "1")
	item := testkit.Receive(t, "an item", items)
	consumer.Stop()
	shut()
	if err := item.DoubleAck(testkit.Within(t)); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("DoubleAck after Close: %v; want an error", err)
	}
}

func TestCountingThatIsCutShortFails(t *testing.T) {
	q := testkit.Must(fresh(t).Queue(testkit.Within(t), store.QueueConfig{Name: "q", AckWait: time.Minute}))(t)
	if err := q.Add(testkit.Within(t), "a", "1", nil); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	over, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	for _, ctx := range []context.Context{ended, over} {
		if now, later, err := q.Waiting(ctx, "a"); err == nil {
			t.Errorf("Waiting = %d, %d, nil with a context that %v; want an error", now, later, ctx.Err())
		}
	}
}

// TestDoneAgain: whoever has not heard that an item is removed can ask again, also when it
// is, and when the engine was asked through a consumer that has stopped.
func TestDoneAgain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	q := queue(t, s, time.Hour)
	items, consumer := take(t, q, "a", 10)
	add(t, q, "a", "done", "removed")
	done, removed := testkit.Receive(t, "an item", items), testkit.Receive(t, "an item", items)
	late, cancel := context.WithCancel(testkit.Within(t))
	cancel()
	if err := removed.DoubleAck(late); err == nil {
		t.Error("Done without time has no error")
	}
	if err := q.Remove(testkit.Within(t), "a", removed.Name); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, item := range []*store.Item{done, removed} {
			if err := item.DoubleAck(testkit.Within(t)); err != nil {
				t.Errorf("Done of %s: %v", item.Name, err)
			}
		}
		consumer.Stop()
	}
}
