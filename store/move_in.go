package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of an import that callers branch on.
var (
	ErrNotEmpty = errors.New("there is something stored already")
	ErrImported = errors.New("this was imported here already")
	ErrOtherKey = errors.New("it is encrypted with another key")
)

// Import is all that is put into an empty store. Get one from BeginImport.
type Import struct {
	s       *Store
	state   importState
	reached bool // the stream that an earlier attempt was at
	noted   time.Time

	Unreadable int // messages that were left out: they are damaged
}

// BeginImport begins to import what was exported with an id, or goes on with that. From then on the
// store is opened by nobody else until End: who opens it must have said so in Options. from tells
// people what it is; streams have to be empty. The error is ErrNotEmpty, ErrImported, ErrHalf or
// ErrOtherKey where this cannot be done.
func (s *Store) BeginImport(ctx context.Context, id, from string, k Keys, streams []string) (*Import, error) {
	state, revision, err := s.importState(ctx)
	switch {
	case err != nil:
		return nil, err
	case state.ID == id && state.Done:
		return nil, ErrImported
	case state.ID == id:
	case state.ID != "" && !state.Done:
		return nil, s.isWhole(ctx)
	default:
		if err := s.areEmpty(ctx, streams); err != nil {
			return nil, err
		}
		state = importState{ID: id, From: from}
	}
	secret, err := s.keys.decrypt(nil, placeIn(ownID, idRecord), k.IDs)
	if err != nil {
		return nil, ErrOtherKey
	}
	i := &Import{s: s, state: state, reached: state.Stream == ""}
	if err := i.claim(ctx, revision); err != nil {
		return nil, err
	}
	_, err = s.own.Put(ctx, idRecord, secret, 0)
	return i, err
}

// claim notes that the import was begun, unless somebody else has noted something meanwhile.
func (i *Import) claim(ctx context.Context, revision uint64) (err error) {
	if value := JSON(i.state); revision == 0 {
		_, err = i.s.own.Create(ctx, importRecord, value, 0)
	} else {
		_, err = i.s.own.Update(ctx, importRecord, value, revision, 0)
	}
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: somebody else has begun at this moment, or the servers were slow: start it again when nobody else does", ErrHalf)
	}
	if err != nil {
		return err
	}
	r, err := i.s.own.Get(ctx, importRecord)
	if err == nil {
		i.s.SetClock(time.Until(r.At)) // of the servers
	}
	return err
}

// areEmpty fails with ErrNotEmpty unless there is nothing in streams.
func (s *Store) areEmpty(ctx context.Context, streams []string) error {
	for _, name := range streams {
		st, err := s.existing(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		// Sequences of a journal are told to others: it must never have had an entry.
		if state := st.js.CachedInfo().State; state.Msgs > 0 || isJournal(name) && state.LastSeq > 0 {
			return fmt.Errorf("%w (%s)", ErrNotEmpty, name)
		}
	}
	return nil
}

// note makes it durable how far the import is.
func (i *Import) note(ctx context.Context) error {
	i.noted = time.Now()
	return i.s.insisting(ctx, func() error {
		_, err := i.s.own.Put(ctx, importRecord, JSON(i.state), 0)
		return err
	})
}

// Leave notes how far an import is that does not go on now.
func (i *Import) Leave(ctx context.Context) error { return i.note(ctx) }

// End says that all is there.
func (i *Import) End(ctx context.Context) error {
	i.state = importState{ID: i.state.ID, From: i.state.From, Done: true}
	return i.note(ctx)
}

// Incoming is a stream that is imported.
type Incoming struct {
	stream
	i     *Import
	after uint64 // what is up to here was imported before
	done  bool   // all was
	last  uint64 // of a journal
	begun bool   // a journal has something

	rename  func(key string) string
	numbers map[string]int // of the next chunk of each large body that is under way
}

// Stream begins or goes on to import a stream. rename says what a key is here.
func (i *Import) Stream(ctx context.Context, m MovedStream, rename func(key string) string) (in *Incoming, err error) {
	cfg := m.Config
	cfg.Name = m.Name
	cfg.AllowMsgTTL = cfg.AllowMsgTTL || cfg.MaxAge > 0 // what is here later is forgotten as early
	in = &Incoming{i: i, rename: rename}
	err = i.s.insisting(ctx, func() (err error) {
		in.stream, err = i.s.openStream(ctx, cfg, collectingRecords)
		return err
	})
	if err != nil {
		return nil, err
	}
	if in.done = !i.reached; i.state.Stream == m.Name && in.done {
		i.reached, in.done = true, false
		if m.Name != bodiesID { // of which what a part becomes hangs on those before it
			in.after = i.state.Sequence
		}
	}
	if isJournal(m.Name) && !in.done {
		err = in.beginJournal(ctx)
	}
	return in, err
}

const (
	mostMoved      = mostBatch
	mostMovedBytes = 1 << 20
	noteMoved      = 2 * time.Second // between notes of how far the import is
)

// Put imports messages of the stream, which come in order. What was imported before is there once.
func (in *Incoming) Put(ctx context.Context, some []Moved) error {
	if in.done {
		return nil
	}
	put := in.put
	if isJournal(in.id) {
		put = in.putEntries
	}
	var batch []*nats.Msg
	var first, last uint64
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := put(ctx, batch, first, last)
		batch, size = nil, 0
		return err
	}
	for _, m := range some {
		if m.Sequence <= in.after {
			continue
		}
		messages, err := in.messages(m)
		if err != nil {
			return err
		}
		for _, message := range messages {
			if len(batch) > 0 && (len(batch) >= mostMoved || size+len(message.Data) > mostMovedBytes || isJournal(in.id) && m.Sequence != last+1) {
				if err := flush(); err != nil {
					return err
				}
			}
			if len(batch) == 0 {
				first = m.Sequence
			}
			batch, last, size = append(batch, message), m.Sequence, size+len(message.Data)
		}
	}
	if err := flush(); err != nil || len(some) == 0 {
		return err
	}
	in.i.state.Stream, in.i.state.Sequence = in.id, some[len(some)-1].Sequence
	if time.Since(in.i.noted) < noteMoved {
		return nil
	}
	return in.i.note(ctx)
}

// messages are what a message becomes here: none if it is to be forgotten already, or damaged.
func (in *Incoming) messages(m Moved) ([]*nats.Msg, error) {
	s := in.s
	if len(m.Data) < sealOverhead || s.keys.writer(m.Data) < 0 {
		return nil, ErrOtherKey
	}
	value, err := s.keys.decrypt(nil, placeIn(in.id, m.Key), m.Data)
	if err != nil {
		in.i.Unreadable++
		return nil, nil
	}
	if key := in.rename(m.Key); key != m.Key {
		return in.one(m, key, s.keys.encrypt(placeIn(in.id, key), value))
	}
	return in.fitting(m, value)
}

// one is a message with a key and encrypted content of its own, and all else as m has it; none if it
// is to be forgotten already.
func (in *Incoming) one(m Moved, key string, data []byte) ([]*nats.Msg, error) {
	message := nats.NewMsg(in.subject(key))
	message.Data = data
	if !m.Expires.IsZero() {
		ttl := in.s.ttlUntil(m.Expires)
		if ttl == 0 {
			return nil, nil
		}
		message.Header.Set(jetstream.MsgTTLHeader, ttl.String())
		message.Header.Set(forgottenHeader, m.Expires.UTC().Format(time.RFC3339Nano))
	}
	message.Header.Set(writtenHeader, m.At.UTC().Format(time.RFC3339Nano))
	if m.Schedule != "" {
		message.Header.Set(jetstream.ScheduleHeader, m.Schedule)
		message.Header.Set(jetstream.ScheduleTargetHeader, in.s.prefix.subject(m.Target))
	}
	if isQueue(in.id) {
		expecting(message, 0) // what is there is not added again
	}
	return []*nats.Msg{message}, nil
}

// put writes a batch. Where one of it is there already, the others are written one by one.
func (in *Incoming) put(ctx context.Context, batch []*nats.Msg, _, _ uint64) error {
	err := in.s.insisting(ctx, func() error { return in.publishAll(ctx, batch) })
	if !errors.Is(err, ErrConflict) {
		return in.tooLarge(err)
	}
	for _, m := range batch {
		err := in.s.insisting(ctx, func() error { return in.publishAll(ctx, []*nats.Msg{m}) })
		if err != nil && !errors.Is(err, ErrConflict) {
			return in.tooLarge(err)
		}
	}
	return nil
}

// tooLarge says what can be done where servers take less at a time than those before.
func (in *Incoming) tooLarge(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return fmt.Errorf("%w: the servers take messages of up to %d bytes: set max_payload: 8MB in their configuration while this is imported", err, in.s.conn.Conn().MaxPayload())
	}
	return err
}

// publishAll writes messages, all or none.
func (in *Incoming) publishAll(ctx context.Context, batch []*nats.Msg) error {
	if len(batch) == 1 {
		_, err := in.s.publish(ctx, copied(batch[0]))
		return err
	}
	prefixed := make([]*nats.Msg, len(batch))
	for i, m := range batch {
		prefixed[i] = in.s.prefix.message(copied(m))
	}
	_, err := in.s.publishBatch(prefixed)
	return err
}

// copied is a message that may be sent again: what sends it adds to its header.
func copied(m *nats.Msg) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Data: m.Data, Header: maps.Clone(m.Header)}
}

// End is told that all of the stream came, of which the newest message that there ever was had a
// sequence.
func (in *Incoming) End(ctx context.Context, last uint64) error {
	if in.done || !isJournal(in.id) {
		return nil
	}
	if err := in.fill(ctx, last+1); err != nil {
		return err
	}
	return in.s.insisting(ctx, func() error { return in.purge(ctx, in.subject(gapKey)) })
}

// An entry of a journal has the sequence that it had: cursors and deliveries name it. Where there is
// none, something without content is written and erased at the end; what comes before the first one
// the server skips.
const gapKey = "gap"

func (in *Incoming) beginJournal(ctx context.Context) error {
	// Who follows goes on from where they were, not from where somebody was here.
	followers, err := in.s.durableConsumers(ctx, in.id)
	if err != nil {
		return err
	}
	for _, name := range followers {
		if err := in.forgetConsumer(ctx, name); err != nil {
			return err
		}
	}
	last, oldest, err := in.bounds(ctx)
	in.last, in.after = last, last
	in.begun = last >= oldest && last > 0
	return err
}

func (in *Incoming) forgetConsumer(ctx context.Context, name string) error {
	ctx, cancel, err := in.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return in.s.failed("remove a consumer", in.js.DeleteConsumer(ctx, name))
}

// putEntries writes entries that follow each other.
func (in *Incoming) putEntries(ctx context.Context, batch []*nats.Msg, first, last uint64) error {
	if err := in.fill(ctx, first); err != nil {
		return err
	}
	return in.append(ctx, batch, last)
}

// fill has a sequence be the next one.
func (in *Incoming) fill(ctx context.Context, next uint64) error {
	if next <= in.last+1 {
		return nil
	}
	if !in.begun {
		err := in.s.insisting(ctx, func() error { return in.skip(ctx, next) })
		in.last = next - 1
		return err
	}
	for in.last+1 < next {
		n := min(mostMoved, next-1-in.last)
		batch := make([]*nats.Msg, n)
		for i := range batch {
			batch[i] = nats.NewMsg(in.subject(gapKey))
		}
		if err := in.append(ctx, batch, in.last+n); err != nil {
			return err
		}
	}
	return nil
}

func (in *Incoming) skip(ctx context.Context, next uint64) error {
	ctx, cancel, err := in.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return in.s.failed("skip sequences", in.js.Purge(ctx, jetstream.WithPurgeSequence(next)))
}

// append writes messages after the last one. One that was written though that seemed to fail is not
// written again.
func (in *Incoming) append(ctx context.Context, batch []*nats.Msg, last uint64) error {
	batch[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(in.last, 10))
	err := in.s.insisting(ctx, func() error {
		err := in.publishAll(ctx, batch)
		if err == nil {
			return nil
		}
		if now, _, unknown := in.bounds(ctx); unknown == nil && now == last {
			return nil
		}
		return err
	})
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("store: somebody else writes to %s: import again when nobody does", in.id)
	}
	in.last, in.begun = last, true
	return in.tooLarge(err)
}

// Opens returns what reports whether something that is stored was encrypted with one of the keys.
// Whether it is as it was shows only when it is read.
func (k Key) Opens() func(sealed []byte) bool {
	keys := newKeys(k.secrets)
	return func(sealed []byte) bool { return len(sealed) >= sealOverhead && keys.writer(sealed) >= 0 }
}

// Path is where the key lies.
func (k Key) Path() string { return k.path }
