package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/tracing"
)

// opened is a log in a store of its own.
type opened struct {
	*event.Log
	store *teststore.Store
	log   *testkit.LogBuffer
}

func open(t *testing.T, dir string) opened {
	t.Helper()
	s, err := teststore.Open(t.Context(), teststore.In(dir), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	o := opened{store: s, log: &testkit.LogBuffer{}}
	o.Log, err = event.Open(t.Context(), event.Options{Store: s.Store, History: time.Hour, Log: o.log.Logger(slog.LevelInfo), Registry: prometheus.NewRegistry()})
	testkit.NoError(t, err)
	return o
}

func change(id string, state session.State) event.Change {
	return event.Change{
		Subject: event.Subject{Session: id, Endpoint: "smartid-sign", Account: "acc_1"}, Token: "token", Type: event.TypeOf(state), State: state, At: time.Now(),
	}
}

// TestEventsAreCountedFromZero, or the first one of a type could not be told from one that was counted long ago.
func TestEventsAreCountedFromZero(t *testing.T) {
	t.Parallel()
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	registry := prometheus.NewRegistry()
	_, err = event.Open(t.Context(), event.Options{Store: s.Store, History: time.Hour, Log: slog.New(slog.DiscardHandler), Registry: registry})
	testkit.NoError(t, err)
	families := testkit.Must(registry.Gather())(t)
	if len(families) != 1 || len(families[0].Metric) != len(event.Types()) {
		t.Errorf("there are %v; want a count of each type", families)
	}
}

// TestRecord: one event of each type, in their order, and none after a final one; after a
// restart, too, and under the same ids.
func TestRecord(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	l := open(t, dir)
	record := func(state session.State, want bool) {
		t.Helper()
		if got, err := l.Record(ctx, change("ses_a", state)); err != nil || got != want {
			t.Errorf("Record of %s = %t, %v; want %t", state, got, err, want)
		}
	}
	record(session.Pending, true)
	record(session.Pending, false)
	first, err := l.Last(ctx, "ses_a")
	testkit.NoError(t, err)
	testkit.NoError(t, l.store.Close())

	l = open(t, dir)
	defer l.store.Close()
	record(session.Pending, false)
	record(session.Succeeded, true)
	record(session.Refused, false)
	last, err := l.Last(ctx, "ses_a")
	testkit.NoError(t, err)
	if last.Sequence != 2 || !last.Final || !last.Last() || last.First() != first.Position || last.ID != l.SessionEventID("ses_a", event.TypeSucceeded) {
		t.Errorf("the last one is %+v", last)
	}
	if want := `"sequence":2,"state":"succeeded","previous_state":"pending","final":true`; !strings.Contains(string(last.Payload), want) {
		t.Errorf("its payload is %s; want %s", last.Payload, want)
	}
	if recent, ok := l.Recent("ses_a", last.Position); !ok || recent.ID != last.ID {
		t.Errorf("Recent = %+v, %t", recent, ok)
	}
	if _, ok := l.Recent("ses_a", first.Position); ok {
		t.Error("the first one is taken for the last")
	}
	if _, err := l.Record(ctx, event.Change{Type: event.TypeTest}); err == nil {
		t.Error("webhook.test was recorded of a session")
	}
}

// TestTimesAmongClocks: what is recorded tells the time by the servers' clock, whoever has seen it.
func TestTimesAmongClocks(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	defer l.store.Close()
	const ahead = 10 * time.Minute
	l.store.SetClock(ahead)
	c := change("ses_a", session.Pending)
	c.Observation = &session.Observation{At: c.At.Add(-time.Second)}
	_, err := l.Record(t.Context(), c)
	testkit.NoError(t, err)
	cursor, err := l.Latest(t.Context())
	testkit.NoError(t, err)
	if recorded, ok := l.Recent("ses_a", 1); !ok || !recorded.At.Equal(c.At) {
		t.Errorf("Recent = %+v, %t; want what was seen at %v", recorded, ok, c.At)
	}
	l.store.SetClock(0)
	last, err := l.Last(t.Context(), "ses_a")
	testkit.NoError(t, err)
	if want := c.At.Add(ahead); !last.At.Equal(want) {
		t.Errorf("it was seen at %v; want %v", last.At, want)
	}
	stamp := func(at time.Time) string { return at.Add(ahead).UTC().Format(`"2006-01-02T15:04:05.000Z"`) }
	for _, want := range []string{`"timestamp":` + stamp(c.At), `"observed_at":` + stamp(c.Observation.At)} {
		if !strings.Contains(string(last.Payload), want) {
			t.Errorf("its payload is %s; want %s", last.Payload, want)
		}
	}
	seconds, err := strconv.ParseInt(cursor[strings.LastIndexByte(cursor, '-')+1:], 36, 64)
	if left := time.Until(time.Unix(seconds, 0)); err != nil || left < ahead/2 {
		t.Errorf("the cursor is of %v from now, %v; want %v", left, err, ahead)
	}
}

// TestRecordAtOnce: of many who see the same, one records it.
func TestRecordAtOnce(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	defer l.store.Close()
	var all sync.WaitGroup
	recorded := make(chan session.State, 100)
	for i := range 50 {
		state := []session.State{session.Pending, session.Succeeded}[i%2]
		all.Go(func() {
			if ok, err := l.Record(t.Context(), change("ses_a", state)); err != nil {
				t.Error(err)
			} else if ok {
				recorded <- state
			}
		})
	}
	all.Wait()
	events, _, err := l.Read(t.Context(), "", 10, 0)
	testkit.NoError(t, err)
	if len(events) != len(recorded) || events[len(events)-1].Type != event.TypeSucceeded || len(events) > 2 {
		t.Errorf("%d events of %d that were recorded", len(events), len(recorded))
	}
}

// TestReaders: cursors, followers and what cannot be read.
func TestReaders(t *testing.T) {
	t.Parallel()
	l, ctx := open(t, t.TempDir()), t.Context()
	defer l.store.Close()
	for i := range 3 {
		_, err := l.Record(ctx, change(fmt.Sprintf("ses_%d", i), session.Pending))
		testkit.NoError(t, err)
	}
	journal, err := l.store.Journal(ctx, store.JournalConfig{Name: "events", MaxAge: time.Hour})
	testkit.NoError(t, err)
	_, err = journal.Append(ctx, "ses_x", []byte("{"), 0)
	testkit.NoError(t, err)
	testkit.NoError(t, l.RecordOperational(ctx, event.TypeFailing, "1", event.Operational{Subscription: "sub_a", FailingSince: time.Now()}))
	testkit.NoError(t, l.RecordOperational(ctx, event.TypeFailing, "1", event.Operational{Subscription: "sub_a"}))

	page, next, err := l.Read(ctx, "", 2, 0)
	if err != nil || len(page) != 2 || next != l.CursorOf(page[1]) {
		t.Errorf("Read = %d events, %q, %v; want two", len(page), next, err)
	}
	page, next, err = l.Read(ctx, next, 10, 0)
	if err != nil || len(page) != 2 || page[0].Key != "ses_2" || page[1].Key != "sub_a" || !page[1].Operational() {
		t.Errorf("Read goes on with %d events, %v; want the third and one that is operational", len(page), err)
	}
	if page, again, err := l.Read(ctx, next, 10, time.Millisecond); err != nil || len(page) > 0 || again != next {
		t.Errorf("Read at the end = %d events, %q, %v; want none and %q", len(page), again, err, next)
	}
	if _, _, err := l.Read(ctx, "x", 1, 0); !errors.Is(err, event.ErrCursor) {
		t.Errorf("a cursor that is none: %v", err)
	}
	if !strings.Contains(l.log.String(), "skipping an unreadable event") {
		t.Error("what cannot be read is not named")
	}
	followed := make(chan string, 10)
	go l.Follow(ctx, "somebody", func(_ context.Context, e *event.Event, done func()) error { followed <- e.Key; done(); return nil }, nil)
	for _, want := range []string{"ses_0", "ses_1", "ses_2", "sub_a"} {
		if got := <-followed; got != want {
			t.Errorf("followed %s; want %s", got, want)
		}
	}
}

// TestErase: what is recorded of an erased session comes after that.
func TestErase(t *testing.T) {
	t.Parallel()
	l, ctx := open(t, t.TempDir()), t.Context()
	defer l.store.Close()
	for _, id := range []string{"ses_a", "ses_b"} {
		_, err := l.Record(ctx, change(id, session.Succeeded))
		testkit.NoError(t, err)
	}
	upTo, err := l.Erase(ctx, "ses_a")
	testkit.NoError(t, err)
	if known, err := l.Knows(ctx, "ses_a"); err != nil || known {
		t.Errorf("Knows = %t, %v after it was erased", known, err)
	}
	if known, err := l.Knows(ctx, "ses_b"); err != nil || !known {
		t.Errorf("Knows = %t, %v of another one", known, err)
	}
	if known, err := l.Knows(ctx, "no id"); err != nil || known {
		t.Errorf("Knows = %t, %v of what is no id", known, err)
	}
	if again, err := l.Record(ctx, change("ses_a", session.Succeeded)); err != nil || !again {
		t.Errorf("Record = %t, %v of a session that was erased", again, err)
	}
	if last, err := l.Last(ctx, "ses_a"); err != nil || last.Position <= upTo || last.Sequence != 1 {
		t.Errorf("the new one is %+v, %v; want one after %d", last, err, upTo)
	}
	if _, err := l.Get(ctx, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the erased one: %v", err)
	}
}

// TestCursors: one after which events may be missing is refused, and says where to go on.
func TestCursors(t *testing.T) {
	t.Parallel()
	l, other, ctx := open(t, t.TempDir()), open(t, t.TempDir()), t.Context()
	defer other.store.Close()
	record := func(l opened, id string) {
		t.Helper()
		_, err := l.Record(ctx, change(id, session.Pending))
		testkit.NoError(t, err)
	}
	gone := func(what string, l opened, cursor string, want int) {
		t.Helper()
		_, _, err := l.Read(ctx, cursor, 10, 0)
		var missing *event.GoneError
		if !errors.As(err, &missing) {
			t.Fatalf("%s: %v; want a GoneError", what, err)
		}
		if page, _, err := l.Read(ctx, missing.Oldest, 10, 0); err != nil || len(page) != want {
			t.Errorf("%s: from the oldest on there are %d, %v; want %d", what, len(page), err, want)
		}
	}
	for i := range 3 {
		record(l, fmt.Sprintf("ses_%d", i))
	}
	latest, err := l.Latest(ctx)
	testkit.NoError(t, err)
	if page, next, err := l.Read(ctx, latest, 10, 0); err != nil || len(page) > 0 || next != latest {
		t.Errorf("after the latest: %d, %q, %v", len(page), next, err)
	}
	gone("another store", other, latest, 0)
	record(other, "ses_a")
	gone("another store that has events", other, latest, 1)
	gone("a number that was never reached", l, "99", 3)

	page, _, err := l.Read(ctx, "", 1, 0)
	testkit.NoError(t, err)
	first := l.CursorOf(page[0])
	_, err = l.Erase(ctx, "ses_0")
	testkit.NoError(t, err)
	_, err = l.Erase(ctx, "ses_1")
	testkit.NoError(t, err)
	if page, _, err := l.Read(ctx, first, 10, 0); err != nil || len(page) != 1 {
		t.Errorf("after what was erased: %d, %v; want one", len(page), err)
	}
	page[0].Recorded = time.Now().Add(-2 * time.Hour) // longer ago than events are kept
	gone("older than what is kept", l, l.CursorOf(page[0]), 1)
	testkit.NoError(t, l.store.Close())
}

// TestACursorOfABackup that was restored since: another event is in the place of the one that
// the reader had.
func TestACursorOfABackup(t *testing.T) {
	t.Parallel()
	l, ctx := open(t, t.TempDir()), t.Context()
	defer l.store.Close()
	for _, id := range []string{"ses_a", "ses_b", "ses_c"} {
		_, err := l.Record(ctx, change(id, session.Succeeded))
		testkit.NoError(t, err)
	}
	page, _, err := l.Read(ctx, "", 2, 0)
	if err != nil || len(page) != 2 {
		t.Fatalf("Read = %d events, %v", len(page), err)
	}
	if page, _, err := l.Read(ctx, l.CursorOf(page[1]), 10, 0); err != nil || len(page) != 1 {
		t.Errorf("after the second event: %d, %v; want the third", len(page), err)
	}
	before := *page[1]
	before.Recorded = before.Recorded.Add(-time.Hour)
	var gone *event.GoneError
	if page, _, err := l.Read(ctx, l.CursorOf(&before), 10, 0); !errors.As(err, &gone) {
		t.Errorf("after one that was there before: %d events, %v; want that events may be missing", len(page), err)
	} else if page, _, err := l.Read(ctx, gone.Oldest, 10, 0); err != nil || len(page) != 3 {
		t.Errorf("from the oldest: %d events, %v; want all", len(page), err)
	}
}

// TestEventsKeepTheirSpan: so that whoever delivers them later, after a restart or elsewhere, is
// part of the trace of the poll that has seen the change.
func TestEventsKeepTheirSpan(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	l, err := event.Open(t.Context(), event.Options{Store: s.Store, History: time.Hour, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: tracer})
	testkit.NoError(t, err)
	poll := tracer.Poll(tracing.ReadSpanContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b"), "smartid-sign")
	c := change("ses_a", session.Pending)
	c.Observation = &session.Observation{At: time.Now(), Poll: poll.Context(), Content: &session.Content{Status: 200, Body: []byte(testkit.Waiting)}}
	if recorded, err := l.Record(t.Context(), c); err != nil || !recorded {
		t.Fatalf("Record = %v, %v", recorded, err)
	}
	stored, err := l.Last(t.Context(), "ses_a")
	testkit.NoError(t, err)
	span := spans.Ended()[0]
	got := map[string]string{}
	stored.Span.Write(func(name, value string) { got[name] = value })
	if want := "00-0af7651916cd43dd8448eb211c80319c-" + span.SpanContext().SpanID().String() + "-01"; span.Name() != "publish events" || got["Traceparent"] != want || got["Tracestate"] != "a=b" {
		t.Errorf("the event is stored with %v; want %s, of the span %s", got, want, span.Name())
	}
	if strings.Contains(string(stored.Payload), "0af7651916cd43dd") {
		t.Error("receivers see it in the payload")
	}
}
