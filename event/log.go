package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/store"
	"pollbridge/tracing"
)

// Log keeps events, in their order. It is safe for concurrent use. Create it with Open.
type Log struct {
	store   *store.Store
	journal *store.Journal
	log     *slog.Logger
	counted *prometheus.CounterVec
	recent  recent
	history time.Duration
	tag     string // tells cursors from those of other stores
	tracer  *tracing.Tracer
}

// Options is what a Log needs. All of it is needed, but for Tracer.
type Options struct {
	Store    *store.Store
	History  time.Duration // how long events are kept
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   *tracing.Tracer // makes the spans of events; nil: there are none
}

// Open opens the log; ctx bounds that.
func Open(ctx context.Context, o Options) (*Log, error) {
	l := &Log{store: o.Store, tracer: o.Tracer, log: o.Log, history: o.History, tag: o.Store.ID("", "cursor")[:6], counted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pollbridge_events_total",
		Help: "Events recorded, by type.",
	}, []string{"type"})}
	var err error
	if l.journal, err = o.Store.Journal(ctx, store.JournalConfig{Name: "events", MaxAge: o.History}); err != nil {
		return nil, err
	}
	o.Registry.MustRegister(l.counted)
	for _, eventType := range Types() {
		l.counted.WithLabelValues(eventType) // from 0, so that rates can be seen
	}
	return l, nil
}

// Count counts an event that is sent and not recorded.
func (l *Log) Count(eventType string) { l.counted.WithLabelValues(eventType).Inc() }

// Record makes an event of c and records it: when it returns nil, that is durable. A
// session has at most one event of each type, and none after a final one; a repeat is
// no error, but recorded is false.
func (l *Log) Record(ctx context.Context, c Change) (recorded bool, err error) {
	if !IsOfSession(c.Type) {
		return false, fmt.Errorf("event: %q is not an event of a session", c.Type)
	}
	return l.record(tracing.PartOf(ctx, c.poll()), c.Session, c.Type, func(last *Event) (*Event, error) {
		if last.Final {
			return nil, nil // what comes later was seen earlier
		}
		payload, err := sessionPayload(c.at(l.store.Ahead()), last.Sequence+1, last.State)
		if err != nil {
			return nil, err
		}
		return &Event{
			ID: l.SessionEventID(c.Session, c.Type), Type: c.Type, Endpoint: c.Endpoint, Account: c.Account,
			State: c.State.String(), Final: c.State.Final(), At: c.At, Payload: payload,
		}, nil
	})
}

// RecordOperational records an event about a subscription, once for each mark.
func (l *Log) RecordOperational(ctx context.Context, eventType, mark string, o Operational) error {
	mark = eventType + "@" + mark
	now := time.Now()
	_, err := l.record(ctx, o.Subscription, mark, func(*Event) (*Event, error) {
		payload, err := o.payload(eventType, now.Add(l.store.Ahead()))
		return &Event{ID: l.store.ID("evt_", o.Subscription, mark), Type: eventType, At: now, Payload: payload}, err
	})
	return err
}

// SessionEventID is the id of a session's event of a type: the same after a crash, and in
// every process.
func (l *Log) SessionEventID(sessionID, eventType string) string {
	return l.store.ID("evt_", sessionID, eventType)
}

// record appends what next makes of the last event about a key, unless mark was seen
// about it or next returns nil. Whoever else appends meanwhile comes first, and next
// is called again.
func (l *Log) record(ctx context.Context, key, mark string, next func(last *Event) (*Event, error)) (bool, error) {
	last := l.recent.of(key)
	// The journal tells if that is wrong when something is appended to it; what leaves
	// nothing to be appended is looked up.
	for certain := false; ; certain = true {
		e, err := following(last, mark, next)
		if err != nil || e == nil && certain {
			return false, err
		}
		if e != nil {
			position, err := l.append(ctx, key, e, last.Position)
			switch {
			case err == nil:
				e.Key, e.Position, e.Recorded = key, position, l.store.Now()
				l.recent.put(e)
				l.Count(e.Type)
				return true, nil
			case !errors.Is(err, store.ErrConflict):
				return false, fmt.Errorf("event: recording an event: %w", err)
			}
		}
		if last, err = l.Last(ctx, key); err != nil {
			return false, err
		}
	}
}

// append appends an event about a key, as part of the span in ctx.
func (l *Log) append(ctx context.Context, key string, e *Event, last uint64) (position uint64, err error) {
	span := l.tracer.Event(tracing.In(ctx).Context(), e.ID, e.Type)
	defer span.End()
	e.Span = span.Context()
	position, err = l.journal.Append(ctx, key, e.encode(l.store.Ahead()), last)
	if err != nil {
		span.Failed("not_recorded")
	}
	return position, err
}

// following is what next makes of the last event about a key, with its sequence in the
// row, or nil.
func following(last *Event, mark string, next func(last *Event) (*Event, error)) (*Event, error) {
	if slices.Contains(last.Seen, mark) {
		return nil, nil
	}
	e, err := next(last)
	if err != nil || e == nil {
		return nil, err
	}
	e.Sequence = last.Sequence + 1
	e.Seen = append(slices.Clip(last.Seen), mark)
	if last.Position > 0 {
		e.Positions = append(slices.Clip(last.Positions), last.Position)
	}
	if extra := len(e.Seen) - 32; extra > 0 {
		e.Seen, e.Positions = e.Seen[extra:], e.Positions[min(extra, len(e.Positions)):]
	}
	return e, nil
}

// Recent returns the last event about a key that this process has recorded, if it is the
// one at a position: that saves reading it.
func (l *Log) Recent(key string, position uint64) (*Event, bool) {
	e := l.recent.of(key)
	return e, e.Position == position && position > 0
}

// Last returns the newest event about a key, one without a position if there is none.
func (l *Log) Last(ctx context.Context, key string) (*Event, error) {
	switch entry, err := l.journal.Last(ctx, key); {
	case errors.Is(err, store.ErrNotFound):
		return &Event{Key: key}, nil
	case err != nil:
		return nil, fmt.Errorf("event: reading the last event: %w", err)
	default:
		return decode(entry, l.store.Ahead())
	}
}

// Get returns the event at a position; the error is store.ErrNotFound where it is not kept
// any more.
func (l *Log) Get(ctx context.Context, position uint64) (*Event, error) {
	entry, err := l.journal.Get(ctx, position)
	if err != nil {
		return nil, fmt.Errorf("event: reading an event: %w", err)
	}
	return decode(entry, l.store.Ahead())
}

// Knows reports whether there are events about a key, which may be from outside.
func (l *Log) Knows(ctx context.Context, key string) (bool, error) {
	if !store.IsID(key) {
		return false, nil
	}
	last, err := l.Last(ctx, key)
	return err == nil && last.Position > 0, err
}

// Follow calls f for each event, in order and one at a time, from where the follower with
// that name was the last time, until ctx ends. An event is over when f has returned nil and
// done was called, which may be later and by any goroutine; otherwise, and after a crash, f
// gets it again. One that cannot be read is logged and left out. Where others follow, too, Follow waits at
// its end for those of which finishes says that they will be over, and gives the rest to the others.
func (l *Log) Follow(ctx context.Context, name string, f func(ctx context.Context, e *Event, done func()) error, finishes func(position uint64) bool) error {
	return l.journal.Follow(ctx, name, func(ctx context.Context, entry store.Entry, done func()) error {
		e, err := decode(entry, l.store.Ahead())
		if err != nil {
			l.log.Error("skipping an unreadable event, it is not delivered", "error", err)
			done() // it will not get better
			return nil
		}
		return f(ctx, e, done)
	}, finishes)
}

// Behind returns how many events are not over for those who follow with a name, where these are
// several: those that were handed to nobody yet, and those that were.
func (l *Log) Behind(ctx context.Context, name string) (waiting, out int, err error) {
	waiting, out, err = l.journal.Behind(ctx, name)
	if err != nil {
		return 0, 0, fmt.Errorf("event: counting events: %w", err)
	}
	return waiting, out, nil
}

// Followed returns up to which position all events are over for the follower with that name.
func (l *Log) Followed(ctx context.Context, name string) (uint64, error) {
	position, err := l.journal.Followed(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("event: reading how far events were followed: %w", err)
	}
	return position, nil
}

// After returns up to limit events that follow a position, in their order, and the position
// to go on from. Where there is none it waits for one, no longer than ctx, and then returns
// none and no error. One that cannot be read is logged and left out.
func (l *Log) After(ctx context.Context, position uint64, limit int) (events []*Event, next uint64, err error) {
	entries, err := l.journal.After(ctx, position, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("event: reading events: %w", err)
	}
	for _, entry := range entries {
		position = entry.Sequence
		e, err := decode(entry, l.store.Ahead())
		if err != nil {
			l.log.Error("skipping an unreadable event", "error", err)
			continue
		}
		events = append(events, e)
	}
	return events, position, nil
}

// Newest returns the position of the newest event, 0 if there never was one.
func (l *Log) Newest(ctx context.Context) (uint64, error) {
	newest, err := l.journal.Newest(ctx)
	if err != nil {
		return 0, fmt.Errorf("event: reading events: %w", err)
	}
	return newest, nil
}

// Reach is Newest, but waits a moment for a position that somebody knows of, see [store.Journal.Reach].
func (l *Log) Reach(ctx context.Context, position uint64) (newest uint64, err error) {
	newest, err = l.journal.Reach(ctx, position)
	if err != nil {
		return newest, fmt.Errorf("event: reading events: %w", err)
	}
	return newest, nil
}

// Read is After for readers from outside: cursors in place of positions, of which an empty
// one is the beginning. Where there is no event it waits for one, no longer than wait. The
// error is ErrCursor or a *GoneError where the cursor cannot be used.
func (l *Log) Read(ctx context.Context, after string, limit int, wait time.Duration) (events []*Event, next string, err error) {
	position, more, err := l.begin(ctx, after)
	if err != nil || !more && wait <= 0 {
		return nil, after, err
	}
	waiting, cancel := context.WithTimeout(ctx, max(wait, time.Second))
	defer cancel()
	events, last, err := l.After(waiting, position, limit)
	switch {
	case err != nil || last == position:
		return nil, after, err
	case len(events) > 0 && events[len(events)-1].Position == last:
		return events, l.CursorOf(events[len(events)-1]), nil
	}
	return events, l.cursor(last, l.store.Now()), nil // the last ones could not be read
}

// Erase erases the events about a key. It returns up to which position that was: what is
// recorded of it from then on comes after that.
func (l *Log) Erase(ctx context.Context, key string) (upTo uint64, err error) {
	if err := l.journal.Erase(ctx, key); err != nil {
		return 0, fmt.Errorf("event: erasing events: %w", err)
	}
	l.recent.drop(key)
	newest, err := l.Newest(ctx)
	if err != nil {
		return 0, err
	}
	// What is there now came after the others were erased.
	last, err := l.Last(ctx, key)
	if err != nil {
		return 0, err
	}
	if last.Position > 0 {
		newest = min(newest, last.First()-1)
	}
	return newest, nil
}
