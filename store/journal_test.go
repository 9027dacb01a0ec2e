package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

func journal(t testing.TB, s *teststore.Store) *store.Journal {
	t.Helper()
	return testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
}

func TestJournalAppendsOnceAfterTheLast(t *testing.T) {
	t.Parallel()
	ctx, events := testkit.Within(t), journal(t, fresh(t))
	if _, err := events.Last(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Last of nothing: %v; want ErrNotFound", err)
	}
	if newest := testkit.Must(events.Newest(ctx))(t); newest != 0 {
		t.Errorf("Newest of nothing = %d", newest)
	}
	first := testkit.Must(events.Append(ctx, "a", []byte("1"), 0))(t)
	other := testkit.Must(events.Append(ctx, "b", []byte("2"), 0))(t)
	second := testkit.Must(events.Append(ctx, "a", []byte("3"), first))(t)
	for _, last := range []uint64{0, first, other} {
		if _, err := events.Append(ctx, "a", []byte("x"), last); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Append after %d: %v; want ErrConflict", last, err)
		}
	}
	if e := testkit.Must(events.Last(ctx, "a"))(t); e.Key != "a" || string(e.Value) != "3" || e.Sequence != second {
		t.Errorf("Last = %+v; want 3", e)
	}
	if e := testkit.Must(events.Get(ctx, other))(t); e.Key != "b" || string(e.Value) != "2" || e.Sequence != other {
		t.Errorf("Get = %+v; want 2", e)
	}
	if newest := testkit.Must(events.Newest(ctx))(t); newest != second {
		t.Errorf("Newest = %d; want %d", newest, second)
	}
	if err := events.Erase(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint64{0, first, second, 99} {
		if _, err := events.Get(ctx, sequence); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%d): %v; want ErrNotFound", sequence, err)
		}
	}
	if entries := testkit.Must(events.After(ctx, 0, 10))(t); len(entries) != 1 || entries[0].Key != "b" {
		t.Errorf("After erasing: %+v; want b alone", entries)
	}
	testkit.Must(events.Append(ctx, "a", nil, 0))(t)
}

func TestAfterWaitsForNews(t *testing.T) {
	t.Parallel()
	ctx, s := testkit.Within(t), fresh(t)
	events := journal(t, s)
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if entries, err := events.After(soon, 0, 10); entries != nil || err != nil {
		t.Errorf("After nothing = %v, %v; want none and no error", entries, err)
	}
	found := make(chan []store.Entry)
	go func() {
		entries, _ := events.After(ctx, 0, 10)
		found <- entries
	}()
	testkit.Must(journal(t, s).Append(ctx, "a", []byte("1"), 0))(t)
	if entries := testkit.Receive(t, "an entry", found); len(entries) != 1 || string(entries[0].Value) != "1" {
		t.Errorf("After = %+v; want 1", entries)
	}
	for i := range 599 {
		testkit.Must(events.Append(ctx, fmt.Sprint(i), nil, 0))(t)
	}
	var all []uint64
	for len(all) < 600 {
		last := uint64(0)
		if len(all) > 0 {
			last = all[len(all)-1]
		}
		entries := testkit.Must(events.After(ctx, last, 400))(t)
		if len(entries) > 400 {
			t.Fatalf("After returns %d entries", len(entries))
		}
		for _, e := range entries {
			all = append(all, e.Sequence)
		}
	}
	if !slices.IsSorted(all) || len(slices.Compact(all)) != 600 {
		t.Error("entries out of order, or twice")
	}
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	events := journal(t, s)
	for i := range 10 {
		testkit.Must(events.Append(testkit.Within(t), "k", []byte{byte(i)}, uint64(i)))(t)
	}
	var got []byte
	failed := false
	follow := func(events *store.Journal, until byte) {
		t.Helper()
		ctx, cancel := context.WithCancel(testkit.Within(t))
		defer cancel()
		err := events.Follow(ctx, "reader", func(_ context.Context, e store.Entry, done func()) error {
			if e.Value[0] == 3 && !failed {
				failed = true
				return errors.New("try again")
			}
			got = append(got, e.Value[0])
			done()
			if e.Value[0] == until {
				cancel()
			}
			return nil
		}, nil)
		if err != nil {
			t.Errorf("Follow: %v", err)
		}
	}
	follow(events, 5)
	shut()
	s, _ = open(t, config(dir))
	events = journal(t, s)
	go events.Append(testkit.Within(t), "k", []byte{10}, 10)
	follow(events, 10)
	if want := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(got, want) || !failed {
		t.Errorf("followed %v; want %v", got, want)
	}
}

// TestFollowedIsOverWhenAllBeforeItAre: what is called done later is handed out again after
// the start, with all that came after it.
func TestFollowedIsOverWhenAllBeforeItAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	events := journal(t, s)
	for i := range 6 {
		testkit.Must(events.Append(testkit.Within(t), "k", []byte{byte(i)}, uint64(i)))(t)
	}
	follow := func(events *store.Journal, want int, use func(entry byte, done func())) (got []byte) {
		t.Helper()
		ctx, cancel := context.WithCancel(testkit.Within(t))
		defer cancel()
		err := events.Follow(ctx, "reader", func(_ context.Context, e store.Entry, done func()) error {
			got = append(got, e.Value[0])
			use(e.Value[0], done)
			if len(got) == want {
				cancel()
			}
			return nil
		}, nil)
		if err != nil {
			t.Errorf("Follow: %v", err)
		}
		return got
	}
	var late func()
	follow(events, 6, func(entry byte, done func()) {
		switch entry {
		case 1:
			late = done
		case 3: // never
		case 4:
			done()
			late()
			late()
		default:
			done()
		}
	})
	shut()
	s, _ = open(t, config(dir))
	got := follow(journal(t, s), 3, func(_ byte, done func()) { done() })
	if want := []byte{3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("after the start, followed %v; want %v", got, want)
	}
}
