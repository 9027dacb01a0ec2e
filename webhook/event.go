package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"pollbridge/store"
)

// event is an entry of the journal. Its key is the session, or the subscription that
// an operational event is about.
type event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Endpoint  string    `json:"endpoint,omitempty"`
	Account   string    `json:"account,omitempty"`
	State     string    `json:"state,omitempty"`
	Final     bool      `json:"final,omitzero"`
	Sequence  int       `json:"sequence"`         // counts the events of one key
	Seen      []string  `json:"seen"`             // what there was about that key, with this one: no repeats
	Positions []uint64  `json:"places,omitempty"` // of those before this one
	At        time.Time `json:"at"`               // when the state was seen

	subject  string    // the entry's key
	position uint64    // the entry's sequence
	recorded time.Time // when it was made
	payload  []byte    // stands behind the header, as it is sent
}

func (e *event) operational() bool { return !slices.Contains(sessionTypes, e.Type) }

func (e *event) about() Subject { return Subject{e.subject, e.Endpoint, e.Account} }

// last reports whether a session is not looked after any more with this event: it is
// over, or nobody knows it, or it took too long.
func (e *event) last() bool { return e.Final || e.Type == TypeNotFound || e.Type == TypeAbandoned }

// end is the position of an event with which a session was given up, else 0. More may come
// of it after that.
func (e *event) end() uint64 {
	if e.Final || !e.last() {
		return 0
	}
	return e.position
}

// marshal returns the header, a line break and the payload: so the payload stays byte
// for byte what it is.
func (e *event) marshal() []byte {
	return slices.Concat(encoded(e), []byte{'\n'}, e.payload)
}

func readEvent(entry store.Entry) (*event, error) {
	header, payload, found := bytes.Cut(entry.Value, []byte{'\n'})
	e := &event{subject: entry.Key, position: entry.Sequence, recorded: entry.At, payload: payload}
	if err := json.Unmarshal(header, e); err != nil || !found {
		return nil, fmt.Errorf("%w: entry %d of the journal of events", store.ErrDamaged, entry.Sequence)
	}
	return e, nil
}

// first is the position of the first event about the same key that is known.
func (e *event) first() uint64 {
	if len(e.Positions) > 0 {
		return e.Positions[0]
	}
	return e.position
}

// Changed makes an event of c and records it: when it returns nil, that is durable. A
// session has at most one event of each type, and none after a final one; a repeat is
// no error, but published is false.
func (s *Service) Changed(ctx context.Context, c Change) (published bool, err error) {
	if !slices.Contains(sessionTypes, c.Type) {
		return false, fmt.Errorf("webhook: %q is not an event of a session", c.Type)
	}
	ending := s.endings.of(c.Session)
	ending.RLock()
	published, err = s.record(ctx, c.Session, c.Type, func(last *event) (*event, error) {
		if last.Final {
			return nil, nil // what comes later was seen earlier
		}
		payload, err := sessionPayload(c, last.Sequence+1, last.State)
		if err != nil {
			return nil, err
		}
		return &event{
			ID: s.sessionEventID(c.Session, c.Type), Type: c.Type, Endpoint: c.Endpoint, Account: c.Account,
			State: c.State.String(), Final: c.State.Final(), At: c.At, payload: payload,
		}, nil
	})
	ending.RUnlock()
	if err == nil && (c.Type == TypeNotFound || c.Type == TypeAbandoned) {
		s.givenUp(ctx, c.Session, published)
	}
	return published, err
}

// sessionEventID is the same after a crash, and on every replica.
func (s *Service) sessionEventID(sessionID, eventType string) string {
	return s.store.ID("evt_", sessionID, eventType)
}

// record appends what next makes of the last event about a key, unless mark was seen
// about it or next returns nil. Whoever else appends meanwhile comes first, and next
// is called again.
func (s *Service) record(ctx context.Context, key, mark string, next func(last *event) (*event, error)) (bool, error) {
	last := s.guesses.of(key)
	// The journal tells if that is wrong when something is appended to it; what leaves
	// nothing to be appended is looked up.
	for certain := false; ; certain = true {
		e, err := following(last, mark, next)
		if err != nil || e == nil && certain {
			return false, err
		}
		if e != nil {
			position, err := s.journal.Append(ctx, key, e.marshal(), last.position)
			switch {
			case err == nil:
				e.subject, e.position, e.recorded = key, position, time.Now()
				s.guesses.put(e)
				s.metrics.events.WithLabelValues(e.Type).Inc()
				return true, nil
			case !errors.Is(err, store.ErrConflict):
				return false, fmt.Errorf("webhook: recording an event: %w", err)
			}
		}
		if last, err = s.lastEvent(ctx, key); err != nil {
			return false, err
		}
	}
}

// guesses remembers the last events that were recorded. A session may have been erased
// since, or have others: of an earlier process, or another one.
type guesses struct {
	mu   sync.Mutex
	last map[string]*event // by key; guarded by mu, as below
	size int
}

const mostGuesses = 16 << 20 // bytes

func (g *guesses) of(key string) *event {
	g.mu.Lock()
	defer g.mu.Unlock()
	return cmp.Or(g.last[key], &event{subject: key})
}

func (g *guesses) put(e *event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil || g.size > mostGuesses {
		g.last, g.size = map[string]*event{}, 0 // each saves but a read
	}
	g.last[e.subject] = e
	g.size += len(e.payload) + 512
}

func (g *guesses) drop(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.last, key)
}

// following is what next makes of the last event about a key, with its sequence in the
// row, or nil.
func following(last *event, mark string, next func(last *event) (*event, error)) (*event, error) {
	if slices.Contains(last.Seen, mark) {
		return nil, nil
	}
	e, err := next(last)
	if err != nil || e == nil {
		return nil, err
	}
	e.Sequence = last.Sequence + 1
	e.Seen = append(slices.Clip(last.Seen), mark)
	if last.position > 0 {
		e.Positions = append(slices.Clip(last.Positions), last.position)
	}
	if extra := len(e.Seen) - 32; extra > 0 {
		e.Seen, e.Positions = e.Seen[extra:], e.Positions[min(extra, len(e.Positions)):]
	}
	return e, nil
}

// lastEvent returns the newest event about a key, a zero one if there is none.
func (s *Service) lastEvent(ctx context.Context, key string) (*event, error) {
	switch entry, err := s.journal.Last(ctx, key); {
	case errors.Is(err, store.ErrNotFound):
		return &event{subject: key}, nil
	case err != nil:
		return nil, fmt.Errorf("webhook: reading the last event: %w", err)
	default:
		return readEvent(entry)
	}
}

// eventAt returns the event at a position of the journal; the error is store.ErrNotFound
// where it is not kept any more.
func (s *Service) eventAt(ctx context.Context, position uint64) (*event, error) {
	entry, err := s.journal.Get(ctx, position)
	if err != nil {
		return nil, fmt.Errorf("webhook: reading an event: %w", err)
	}
	return readEvent(entry)
}

// Knows reports whether there are events of a session.
func (s *Service) Knows(ctx context.Context, sessionID string) (bool, error) {
	if !store.IsID(sessionID) {
		return false, nil
	}
	last, err := s.lastEvent(ctx, sessionID)
	return err == nil && last.position > 0, err
}

// Events returns up to limit events that follow a cursor, in their order, and the
// cursor to go on from. An empty cursor is the beginning. Where there is no event it
// waits for one, no longer than wait, and then returns none. The error is a
// *FieldError where the cursor cannot be used.
func (s *Service) Events(ctx context.Context, after string, limit int, wait time.Duration) (page []Event, next string, err error) {
	position, err := readCursor("after", after)
	if err != nil {
		return nil, "", err
	}
	newest, err := s.journal.Newest(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("webhook: reading events: %w", err)
	}
	if newest <= position && wait <= 0 {
		return nil, after, nil
	}
	waiting, cancel := context.WithTimeout(ctx, max(wait, time.Second))
	defer cancel()
	entries, err := s.journal.After(waiting, position, limit)
	if err != nil {
		return nil, "", fmt.Errorf("webhook: reading events: %w", err)
	}
	for _, entry := range entries {
		after = cursor(entry.Sequence)
		e, err := readEvent(entry)
		if err != nil {
			s.log.Error("skipping an unreadable event", "error", err)
			continue
		}
		page = append(page, Event{ID: e.ID, Cursor: after, Type: e.Type, Subject: e.subject, Payload: e.payload})
	}
	return page, after, nil
}

// NewestEvent returns the cursor of the newest event, to hear only what follows.
func (s *Service) NewestEvent(ctx context.Context) (string, error) {
	newest, err := s.journal.Newest(ctx)
	if err != nil {
		return "", fmt.Errorf("webhook: reading events: %w", err)
	}
	return cursor(newest), nil
}

func cursor(position uint64) string { return strconv.FormatUint(position, 10) }

func readCursor(field, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	position, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, &FieldError{Field: field, Problem: "must be a cursor that the API returned"}
	}
	return position, nil
}
