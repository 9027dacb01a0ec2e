package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Bodies keeps bodies, encrypted, each with a head that says what it is, until Config.Retain has
// passed. They belong to owners, and have names among those of their owner. It is safe for
// concurrent use.
//
// A body is one message, or, if it is large, several and then one that tells of them: without
// that one there is none. A large body that an owner has under several names is stored with one
// of them.
type Bodies struct{ stream }

// Body is what is kept.
type Body struct {
	Owner string    // an id, see Store.ID
	Name  string    // tokens that Store.Hash made, separated by dots
	Made  time.Time // from when on Config.Retain counts, by the servers' clock
	Head  []byte
	Body  []byte // no more than 64 MiB, together with Head
}

// Stored is a body as it is stored. It must not be changed.
type Stored struct {
	Owner, Name string
	Head        []byte

	address
	body     []byte // where it is stored in one piece
	size     uint64 // where it is stored in chunks
	sequence uint64
	at       time.Time // when it was stored
}

const (
	bodiesID   = "FINALS" // final answers are what is kept
	maxBody    = 64 << 20
	chunkSize  = 4 << 20 // or less, where the server takes less at a time
	leastChunk = 32 << 10
	// leastShared is the size of a body from which on it is worth looking whether its owner has
	// it already: that takes a read before each write, and most have only one.
	leastShared = 16 << 10
)

// Bodies opens the place for bodies and makes it if it is not there.
func (s *Store) Bodies(ctx context.Context) (*Bodies, error) {
	// With a limit for each subject the server writes blocks of half the size, and it has
	// the newest ones in memory. Of two with one name that are equal, the later one stays.
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: bodiesID, Subjects: []string{bodiesID + ".answer.>", bodiesID + ".chunk.>"},
		MaxAge: s.cfg.Retain + s.spare(), AllowMsgTTL: true, MaxMsgsPerSubject: 1,
	}, collectingRecords)
	if err != nil {
		return nil, err
	}
	b := &Bodies{opened}
	s.sweepOnce.Do(func() { err = b.sweep(ctx, abandonedAfter) })
	return b, err
}

// spare is how long the server keeps a body after nobody is given it any more: another one that
// was made a moment later may share it.
func (s *Store) spare() time.Duration { return s.cfg.Retain / 30 }

// Retain is how long after it was made a body may be given to anybody. It stays a little longer.
func (b *Bodies) Retain() time.Duration { return b.s.cfg.Retain }

// Keep stores what. When it returns nil, that is durable, and Each finds it. What is kept under
// the same name stays beside it, unless it has the same body. The error is ErrTooLarge for more
// than 64 MiB.
func (b *Bodies) Keep(ctx context.Context, what Body) error {
	if len(what.Head)+len(what.Body) > maxBody {
		return ErrTooLarge
	}
	b.s.owners.add(what.Owner)
	a, head := b.addressOf(what), framed(what.Head)
	if len(what.Body) < leastShared {
		return b.keepBody(ctx, a, head, what.Body)
	}
	leave, err := b.s.keep(ctx, what.Owner)
	if err != nil {
		return err
	}
	defer leave()
	holders, err := b.holders(ctx, a)
	if err != nil {
		return err
	}
	if n := len(holders); n > 0 && holders[n-1].Name != what.Name && what.Made.Before(holders[n-1].at.Add(b.s.spare()/2)) {
		return b.write(ctx, a.subject(), head)
	}
	if err := b.keepBody(ctx, a, head, what.Body); err != nil {
		return err
	}
	for _, h := range holders {
		if err := b.giveUp(ctx, h, what.Name); err != nil {
			b.s.log.Warn("a second copy of a final answer could not be removed yet", "session", what.Owner, "error", err)
		}
	}
	return nil
}

// framed is a head as it is stored: its length goes before it.
func framed(head []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(head))), head...)
}

// keep waits until nobody else changes what an owner has, or some others, no longer than ctx.
// The caller must leave.
func (s *Store) keep(ctx context.Context, owner string) (leave func(), err error) {
	held := s.keeping[s.keys.id.sum([]byte(owner))[0]%byte(len(s.keeping))]
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// chunkSize is that of parts of a large body.
func (s *Store) chunkSize() int { return max(leastChunk, min(chunkSize, s.largest)) }

// keepBody stores a body with a framed head.
func (b *Bodies) keepBody(ctx context.Context, a address, head, body []byte) (err error) {
	size := b.s.chunkSize()
	if len(head)+len(body) <= size {
		a.upload = whole
		return b.write(ctx, a.subject(), append(head, body...))
	}
	a.upload = nuid.Next()
	defer func() {
		if err != nil { // nobody waits for that, and if it fails sweep does it
			b.s.running.Go(func() { b.purge(b.s.ctx, a.chunk("*")) })
		}
	}()
	chunks := 0
	for chunk := range slices.Chunk(body, size) {
		if err := b.write(ctx, a.chunk(strconv.Itoa(chunks)), chunk); err != nil {
			return err
		}
		chunks++
	}
	// The size says of how much body this is the head.
	return b.write(ctx, a.subject(), append(binary.AppendUvarint(nil, uint64(len(body))), head...))
}

func (b *Bodies) write(ctx context.Context, subject string, content []byte, options ...jetstream.PublishOpt) error {
	m := &nats.Msg{Subject: subject, Data: b.s.keys.encrypt(placeOf("final", subject), content)}
	if len(options) > 0 {
		_, err := b.s.publish(ctx, m, options...)
		return err
	}
	_, err := b.writes.put(ctx, m)
	return err
}

// Each calls use for what an owner has, the oldest first, until it returns false or an error.
// Names match where * stands for a token and a > at the end for all further ones. What cannot be
// read, or of which use returns ErrDamaged, is logged and left out. There are few, and for most
// owners none, which costs hardly anything.
func (b *Bodies) Each(ctx context.Context, owner, names string, use func(*Stored) (more bool, err error)) error {
	if err := errors.Join(checkTokens(owner), checkMatch(names)); err != nil {
		return err
	}
	if b.s.owners.none(owner) {
		return nil
	}
	return b.messages(ctx, bodiesID+".answer."+owner+"."+names, func(m *message) (more bool, err error) {
		stored, err := b.open(m)
		if err == nil {
			more, err = use(stored)
		}
		if errors.Is(err, ErrDamaged) {
			b.tellUnreadable(m.Subject, err)
			return true, nil
		}
		return more, err
	})
}

// Recent calls use for what was kept in the time before the newest one, of the owners that are
// wanted: others cost next to nothing. What cannot be read is left out: who asks for it is told.
func (b *Bodies) Recent(ctx context.Context, before time.Duration, wanted func(owner string) bool, use func(*Stored)) error {
	state, err := b.state(ctx)
	if err != nil {
		return err
	}
	since := state.LastTime.Add(-before)
	return b.consume(ctx, jetstream.ConsumerConfig{
		FilterSubjects: []string{bodiesID + ".answer.>"}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	}, func(some []*message) {
		for _, m := range some {
			if a, err := readAddress(m.Subject); err != nil || !wanted(a.owner) {
				continue
			}
			if stored, err := b.open(m); err == nil {
				use(stored)
			}
		}
	})
}

// TellUnreadable logs that nobody is given what is stored.
func (b *Bodies) TellUnreadable(stored *Stored, err error) { b.tellUnreadable(stored.subject(), err) }

func (b *Bodies) tellUnreadable(subject string, err error) {
	b.s.log.Error("final answer cannot be read, skipping it", "subject", subject, "error", err)
}

// open decrypts the message that tells of a body. The error is ErrDamaged.
func (b *Bodies) open(m *message) (*Stored, error) {
	a, err := readAddress(m.Subject)
	if err != nil {
		return nil, err
	}
	content, err := b.s.keys.decrypt(nil, placeOf("final", m.Subject), m.Data)
	if err != nil {
		return nil, err
	}
	stored := &Stored{Owner: a.owner, Name: a.name, address: a, sequence: m.Sequence, at: m.Time}
	if a.inChunks() {
		n := 0
		if stored.size, n = binary.Uvarint(content); n <= 0 || stored.size > maxBody {
			return nil, ErrDamaged
		}
		content = content[n:]
	}
	size, n := binary.Uvarint(content)
	if n <= 0 || size > uint64(len(content)-n) {
		return nil, ErrDamaged
	}
	stored.Head, stored.body = content[n:n+int(size)], content[n+int(size):]
	return stored, nil
}

// Body returns the body of what is stored, wherever that is. The error is ErrDamaged where it
// cannot be read.
func (b *Bodies) Body(ctx context.Context, stored *Stored) ([]byte, error) {
	switch stored.upload {
	case whole:
		return stored.body, nil
	case elsewhere:
		return b.sharedBody(ctx, stored.address)
	}
	return b.chunks(ctx, stored)
}

// chunks returns the body of what is stored in chunks.
func (b *Bodies) chunks(ctx context.Context, stored *Stored) ([]byte, error) {
	body := make([]byte, 0, stored.size)
	next := 0
	err := b.messages(ctx, stored.chunk("*"), func(m *message) (more bool, err error) {
		if m.Subject != stored.chunk(strconv.Itoa(next)) || uint64(len(body)+len(m.Data)-sealOverhead) > stored.size {
			return false, ErrDamaged
		}
		next++
		body, err = b.s.keys.decrypt(body, placeOf("final", m.Subject), m.Data)
		return true, err
	})
	if err == nil && uint64(len(body)) != stored.size {
		err = errPartMissing
	}
	return body, err
}

// Forget erases all that an owner has.
func (b *Bodies) Forget(ctx context.Context, owner string) error {
	if err := checkTokens(owner); err != nil {
		return err
	}
	leave, err := b.s.keep(ctx, owner)
	if err != nil {
		return err
	}
	defer leave()
	err = b.purge(ctx, bodiesID+".answer."+owner+".>")
	return errors.Join(err, b.purge(ctx, bodiesID+".chunk."+owner+".>"))
}
