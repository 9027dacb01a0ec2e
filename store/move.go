package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// Moved is a message on its way from one store to another, encrypted as it was.
type Moved struct {
	Key      string // its subject without the stream's name
	Sequence uint64
	At       time.Time // when it was written
	Expires  time.Time // when it is forgotten; zero: never
	Schedule string    // when it becomes an item, as the server wants it; empty: it is no schedule
	Target   string    // the subject of that item
	Data     []byte
}

// MovedStream is a stream on its way from one store to another.
type MovedStream struct {
	Name   string                 `json:"name"`
	Config jetstream.StreamConfig `json:"config"` // what does not hang on the server
	About  uint64                 `json:"about"`  // how many messages it has; it may change meanwhile
}

// Keys says what a store's own records say about its key, encrypted as they are.
type Keys struct {
	Check []byte `json:"check"`
	IDs   []byte `json:"ids"` // what ids are derived from
}

// A message that was moved says when it was written at first and when it is forgotten: the server
// counts from when it came there.
const (
	writtenHeader   = "Pollbridge-Written"
	forgottenHeader = "Pollbridge-Forgotten"
)

// here is a message of the server's as the store has written it.
func (s *Store) here(m *message) *message {
	m.Subject = s.prefix.cut(m.Subject)
	if written := m.Header.Get(writtenHeader); written != "" {
		if at, err := time.Parse(time.RFC3339Nano, written); err == nil {
			m.Time = at
		}
	}
	return m
}

// expires is when the server forgets a message for its ttl; zero: never.
func expires(m *message) time.Time {
	if forgotten := m.Header.Get(forgottenHeader); forgotten != "" {
		at, _ := time.Parse(time.RFC3339Nano, forgotten)
		return at
	}
	ttl, err := time.ParseDuration(m.Header.Get(jetstream.MsgTTLHeader))
	if err != nil {
		return time.Time{}
	}
	return m.Time.Add(ttl)
}

// The own records are not moved as a stream.
const (
	ownID       = "OWN_own"
	followersID = "OWN_followers"
)

func isJournal(stream string) bool { return strings.HasPrefix(stream, "JOURNAL_") }
func isQueue(stream string) bool   { return strings.HasPrefix(stream, "QUEUE_") }
func isTable(stream string) bool {
	return strings.HasPrefix(stream, "TABLE_") || strings.HasPrefix(stream, "OWN_")
}

// placeIn is where a message of a stream belongs.
func placeIn(stream, key string) place {
	switch {
	case isTable(stream):
		return placeOf("table", stream, key)
	case isJournal(stream):
		return placeOf("journal", strings.TrimPrefix(stream, "JOURNAL_"), key)
	case isQueue(stream):
		tokens := strings.SplitN(key, ".", 3) // do or at, subject, name
		if len(tokens) != 3 {
			return nil
		}
		return placeOf("queue", strings.TrimPrefix(stream, "QUEUE_"), tokens[1], tokens[2])
	}
	return placeOf("final", stream+"."+key)
}

// Streams returns the names of all streams that the store has.
func (s *Store) Streams(ctx context.Context) (names []string, err error) {
	ctx, cancel := s.look(ctx)
	defer cancel()
	var options []jetstream.StreamListOpt
	if s.prefix != "" {
		options = append(options, jetstream.WithStreamListSubject(s.prefix.subject(">")))
	}
	list := s.js.StreamNames(ctx, options...)
	for name := range list.Name() {
		if id := strings.TrimPrefix(name, s.prefix.stream("")); name == s.prefix.stream(id) {
			names = append(names, id)
		}
	}
	slices.Sort(names)
	return names, s.failed("list streams", list.Err())
}

// existing is a stream that is there, for reading, or ErrNotFound.
func (s *Store) existing(ctx context.Context, name string) (stream, error) {
	ctx, cancel := s.look(ctx)
	defer cancel()
	js, err := s.js.Stream(ctx, s.prefix.stream(name))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return stream{}, ErrNotFound
	}
	return stream{s: s, js: js, id: name}, s.failed("open "+name, err)
}

// isThere reports whether anything was ever stored.
func (s *Store) isThere(ctx context.Context) (bool, error) {
	_, err := s.existing(ctx, ownID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// insisting calls f until it succeeds, for a minute: servers may be electing a leader. What is
// refused for good is not tried again.
func (s *Store) insisting(ctx context.Context, f func() error) error {
	const pause = 500 * time.Millisecond
	end := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotFound) || time.Now().After(end) {
			return err
		}
		if err := period.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// importRecord says which import was begun, how far it is, and whether it is over.
const importRecord = "import"

type importState struct {
	ID       string `json:"id"` // of what is imported
	From     string `json:"from"`
	Done     bool   `json:"done,omitempty"`
	Stream   string `json:"stream,omitempty"`   // up to here it is imported
	Sequence uint64 `json:"sequence,omitempty"` // of that stream
}

// ErrHalf says that an import was begun and is not over.
var ErrHalf = errors.New("store: an import was begun here and is not over")

func (s *Store) importState(ctx context.Context) (state importState, revision uint64, err error) {
	r, err := s.own.Get(ctx, importRecord)
	if errors.Is(err, ErrNotFound) {
		return state, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(r.Value, &state)
	}
	return state, r.Revision, err
}

// isWhole fails where only a part of what was to be imported is there.
func (s *Store) isWhole(ctx context.Context) error {
	state, _, err := s.importState(ctx)
	if err == nil && state.ID != "" && !state.Done {
		err = fmt.Errorf("%w: start it again with the same file (%s), it goes on where it was", ErrHalf, state.From)
	}
	return err
}
