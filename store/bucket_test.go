package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

func bucket(t testing.TB, s *teststore.Store, maxAge time.Duration) *store.Bucket {
	t.Helper()
	return testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things", MaxAge: maxAge}))(t)
}

func TestTableKeepsTheLastValue(t *testing.T) {
	t.Parallel()
	ctx, things := testkit.Within(t), bucket(t, fresh(t), 0)
	if _, err := things.Get(ctx, "a.b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of what is not there: %v; want ErrNotFound", err)
	}
	before := time.Now()
	first := testkit.Must(things.Create(ctx, "a.b", []byte("one"), 0))(t)
	if _, err := things.Create(ctx, "a.b", []byte("other"), 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Create of what is there: %v; want ErrConflict", err)
	}
	record := testkit.Must(things.Get(ctx, "a.b"))(t)
	if string(record.Value) != "one" || record.Key != "a.b" || record.Revision != first || record.At.Sub(before).Abs() > testkit.Timeout {
		t.Errorf("Get = %+v; want one at revision %d", record, first)
	}
	second := testkit.Must(things.Update(ctx, "a.b", []byte("two"), first, 0))(t)
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
	if _, err := things.Update(ctx, "a.b", []byte("late"), first, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Update of an old revision: %v; want ErrConflict", err)
	}
	testkit.Must(things.Put(ctx, "a.b", nil, 0))(t)
	if record := testkit.Must(things.Get(ctx, "a.b"))(t); len(record.Value) != 0 {
		t.Errorf("Get = %q; want it empty", record.Value)
	}
	for range 2 {
		if err := things.Delete(ctx, "a.b"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if _, err := things.Get(ctx, "a.b"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get of what was deleted: %v; want ErrNotFound", err)
		}
	}
	if _, err := things.Update(ctx, "a.b", []byte("late"), second, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Update of what was deleted: %v; want ErrConflict", err)
	}
	testkit.Must(things.Create(ctx, "a.b", []byte("again"), 0))(t)
}

func TestTableRefusesKeysAndSizes(t *testing.T) {
	t.Parallel()
	ctx, things := testkit.Within(t), bucket(t, fresh(t), 0)
	for _, key := range []string{"", ".", "a.", ".a", "a..b", "*", "a.>", "a b", "a\r\nb", "ä", "a/b", strings.Repeat("a", 256)} {
		_, get := things.Get(ctx, key)
		_, put := things.Put(ctx, key, nil, 0)
		if get == nil || put == nil || things.Delete(ctx, key) == nil {
			t.Errorf("%q was taken for a key", key)
		}
	}
	large := make([]byte, 7<<20)
	large[1234] = 5
	testkit.Must(things.Put(ctx, "large", large, 0))(t)
	if got := testkit.Must(things.Get(ctx, "large"))(t); !slices.Equal(got.Value, large) {
		t.Error("a large value came back changed")
	}
	if _, err := things.Put(ctx, "large", append(large, 1), 0); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put of more than 7 MiB: %v; want ErrTooLarge", err)
	}
}

func TestTableForgetsAfterTTL(t *testing.T) {
	t.Parallel()
	ctx, things := testkit.Within(t), bucket(t, fresh(t), 0)
	gone := func(key string) func() bool {
		return func() bool {
			_, err := things.Get(ctx, key)
			return errors.Is(err, store.ErrNotFound)
		}
	}
	testkit.Must(things.Create(ctx, "created", nil, time.Second))(t)
	testkit.Must(things.Put(ctx, "put", nil, time.Millisecond))(t) // at least a second
	revision := testkit.Must(things.Create(ctx, "updated", nil, time.Hour))(t)
	testkit.Must(things.Update(ctx, "updated", nil, revision, 1900*time.Millisecond))(t)
	revision = testkit.Must(things.Create(ctx, "kept", nil, time.Second))(t)
	testkit.Must(things.Update(ctx, "kept", nil, revision, 0))(t)
	for _, key := range []string{"created", "put", "updated"} {
		testkit.Eventually(t, key+" is forgotten", gone(key))
		testkit.Must(things.Create(ctx, key, nil, 0))(t)
	}
	if gone("kept")() {
		t.Error("Update with no ttl did not take the earlier one away")
	}
}

func TestTableForgetsAfterMaxAge(t *testing.T) {
	t.Parallel()
	ctx, s := testkit.Within(t), fresh(t)
	things := bucket(t, s, 0)
	testkit.Must(things.Put(ctx, "a", nil, 0))(t)
	bucket(t, s, 100*time.Millisecond)
	testkit.Eventually(t, "a changed MaxAge is applied", func() bool {
		_, err := things.Get(ctx, "a")
		return errors.Is(err, store.ErrNotFound)
	})
}

func TestTableListsNewestFirst(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 1,500 times")
	}
	ctx, things := testkit.Within(t), bucket(t, fresh(t), 0)
	var want []string
	for i := range 1500 {
		key := fmt.Sprintf("even.%d", i)
		if i%2 == 1 {
			key = fmt.Sprintf("odd.%d", i)
		}
		testkit.Must(things.Put(ctx, key, []byte(key), 0))(t)
		if i%2 == 0 && i%5 != 0 {
			want = append(want, key)
		}
	}
	for i := 0; i < 1500; i += 10 { // deleted, or changed again
		key := fmt.Sprintf("even.%d", i)
		if i%20 == 0 {
			if err := things.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			continue
		}
		testkit.Must(things.Put(ctx, key, []byte(key), 0))(t)
		want = append(want, key)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 7, 100, 1000, 5000} {
		var got []string
		before := uint64(0)
		for {
			page := testkit.Must(things.List(ctx, "even.*", before, limit))(t)
			for _, record := range page {
				if string(record.Value) != record.Key || before != 0 && record.Revision >= before {
					t.Fatalf("%+v in the page before %d", record, before)
				}
				got, before = append(got, record.Key), record.Revision
			}
			if len(page) < limit {
				break
			}
			if limit == 1 && len(got) == 20 {
				break
			}
		}
		if !slices.Equal(got, want[:min(len(got), len(want))]) || limit > 1 && len(got) != len(want) {
			t.Errorf("by %d: %d records; want %d, or another order", limit, len(got), len(want))
		}
	}
	if page := testkit.Must(things.List(ctx, ">", 0, 5000))(t); len(page) != 1500-75 {
		t.Errorf("all: %d records; want %d", len(page), 1500-75)
	}
	if page := testkit.Must(things.List(ctx, "none.*", 0, 10))(t); len(page) != 0 {
		t.Errorf("%d records match nothing", len(page))
	}
	for _, match := range []string{"", "a.>.b", "a*", "."} {
		if _, err := things.List(ctx, match, 0, 1); err == nil {
			t.Errorf("List(%q) has no error", match)
		}
	}
}

// TestListingFindsAllThatMatch: in stretches of many and of few that match.
func TestListingFindsAllThatMatch(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 6,400 times")
	}
	ctx, things := t.Context(), bucket(t, fresh(t), 0) // 6,400 writes: their time is the machine's
	revisions := map[string]uint64{}
	for _, stretch := range []struct{ group, others, n int }{{1, 0, 700}, {0, 1, 3000}, {1, 50, 1500}, {1, 3, 300}, {0, 1, 900}} {
		for i := range stretch.n {
			group := "few"
			if rand.IntN(stretch.group+stretch.others) >= stretch.group {
				group = "many"
			}
			key := fmt.Sprintf("%s.%d", group, rand.IntN(2000))
			if i%20 == 0 {
				if err := things.Delete(ctx, key); err != nil {
					t.Fatal(err)
				}
				delete(revisions, key)
				continue
			}
			revisions[key] = testkit.Must(things.Put(ctx, key, nil, 0))(t)
		}
	}
	newestFirst := func(match string, before uint64) (keys []string) {
		for key, revision := range revisions {
			if (match == ">" || strings.HasPrefix(key, match[:len(match)-1])) && (before == 0 || revision < before) {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, func(a, b string) int { return int(revisions[b]) - int(revisions[a]) })
		return keys
	}
	for range 60 {
		match, limit := []string{"few.*", "many.*", ">", "few.>"}[rand.IntN(4)], 1+rand.IntN(300)
		before := uint64(rand.IntN(7000))
		want := newestFirst(match, before)
		want = want[:min(len(want), limit)]
		var got []string
		for _, record := range testkit.Must(things.List(ctx, match, before, limit))(t) {
			got = append(got, record.Key)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("List(%s, %d, %d): %d records; want %d, or others", match, before, limit, len(got), len(want))
		}
	}
}

// TestEachReadsAll: what was erased or cannot be read is left out. It ends with its context.
func TestEachReadsAll(t *testing.T) {
	t.Parallel()
	ctx, s := testkit.Within(t), fresh(t)
	things := bucket(t, s, 0)
	for i := range 1000 {
		testkit.Must(things.Put(ctx, fmt.Sprint("k", i), []byte(fmt.Sprint(i)), time.Hour))(t)
	}
	testkit.Must(things.Put(ctx, "k3", []byte("again"), 0))(t)
	testkit.NoError(t, things.Delete(ctx, "k4"))
	testkit.NoError(t, things.MoveValue(ctx, "k6", "k5"))
	var reading sync.Mutex
	found := map[string]store.Record{}
	testkit.NoError(t, things.Each(ctx, func(some []store.Record) {
		reading.Lock()
		defer reading.Unlock()
		for _, record := range some {
			if _, twice := found[record.Key]; twice {
				t.Errorf("%s was read twice", record.Key)
			}
			found[record.Key] = record
		}
	}))
	if len(found) != 998 || string(found["k3"].Value) != "again" || string(found["k999"].Value) != "999" || found["k999"].Revision != 1000 {
		t.Errorf("%d records of 998, with %+v and %+v", len(found), found["k3"], found["k999"])
	}
	if first := found["k0"]; !first.Expires.Equal(first.At.Add(time.Hour)) || !found["k3"].Expires.IsZero() {
		t.Errorf("they go at %v and %v; want an hour after %v, and never", first.Expires, found["k3"].Expires, first.At)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := things.Each(ended, func([]store.Record) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Each = %v; want the end of its context", err)
	}
	testkit.NoError(t, bucket(t, fresh(t), 0).Each(ctx, func(some []store.Record) { t.Errorf("an empty bucket has %d records", len(some)) }))
}

func TestWatchersAreTold(t *testing.T) {
	t.Parallel()
	ctx, s := testkit.Within(t), fresh(t)
	things := bucket(t, s, 0)
	for i := range 600 {
		testkit.Must(things.Put(ctx, fmt.Sprintf("old.%d", i), []byte("x"), 0))(t)
	}
	testkit.Must(things.Put(ctx, "other", nil, 0))(t)
	if err := things.Delete(ctx, "old.7"); err != nil {
		t.Fatal(err)
	}
	told := make(chan store.Change, 1000)
	if _, err := things.Watch(ctx, "old.*", func(c store.Change) { told <- c }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 599 {
		t.Fatalf("told of %d records before Watch returns; want 599", len(told))
	}
	for range 599 {
		if c := <-told; c.Gone || string(c.Value) != "x" || c.Key == "old.7" {
			t.Fatalf("told of %+v", c)
		}
	}
	revision := testkit.Must(things.Put(ctx, "old.9", []byte("y"), 0))(t)
	testkit.Must(things.Put(ctx, "other", nil, 0))(t)
	if c := testkit.Receive(t, "a change", told); c.Key != "old.9" || string(c.Value) != "y" || c.Revision != revision {
		t.Errorf("told of %+v; want old.9", c)
	}
	if err := things.Delete(ctx, "old.9"); err != nil {
		t.Fatal(err)
	}
	if c := testkit.Receive(t, "a deletion", told); c.Key != "old.9" || !c.Gone || c.Value != nil {
		t.Errorf("told of %+v; want old.9 gone", c)
	}
	testkit.Must(things.Put(ctx, "old.8", nil, time.Second))(t)
	if c := testkit.Receive(t, "a change", told); c.Key != "old.8" || c.Gone {
		t.Errorf("told of %+v; want old.8", c)
	}
	if c := testkit.Receive(t, "the end of a ttl", told); c.Key != "old.8" || !c.Gone {
		t.Errorf("told of %+v; want old.8 gone", c)
	}
}
