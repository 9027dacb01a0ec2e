package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"pollbridge/session"
)

// Finals keeps final answers, encrypted, and gives each back until Config.Retain has
// passed since it was made. It implements what package cache needs. It is safe for
// concurrent use.
//
// An answer is one message, or, if it is large, several and then one that tells of
// them: without that one there is no answer. A large body that several answers of a session
// have in common is stored with one of them.
type Finals struct{ stream }

const (
	finalsID   = "FINALS"
	maxFinal   = 64 << 20
	chunkSize  = 4 << 20 // or less, where the server takes less at a time
	leastChunk = 32 << 10
	// leastShared is the size of a body from which on it is worth looking whether another
	// answer has it: that takes a read before each write, and most sessions have one answer.
	leastShared = 16 << 10
)

// Finals opens the place for final answers and makes it if it is not there.
func (s *Store) Finals(ctx context.Context) (*Finals, error) {
	// With a limit for each subject the server writes blocks of half the size, and it has
	// the newest ones in memory. Of two answers to one question with one body, the later
	// one stays.
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: finalsID, Subjects: []string{finalsID + ".answer.>", finalsID + ".chunk.>"},
		MaxAge: s.cfg.Retain + s.spare(), AllowMsgTTL: true, MaxMsgsPerSubject: 1,
	}, collectingRecords)
	if err != nil {
		return nil, err
	}
	f := &Finals{opened}
	s.sweepOnce.Do(func() { err = f.sweep(ctx, abandonedAfter) })
	return f, err
}

// abandonedAfter is how old the chunks of an answer are, at the least, that no other process is
// still storing.
const abandonedAfter = time.Hour

// spare is how long the server keeps an answer after nobody is given it any more:
// another answer that was made a moment later may share its body.
func (s *Store) spare() time.Duration { return s.cfg.Retain / 30 }

// Keep stores o as an answer to v. When it returns nil, that is durable, and Load finds
// it. ErrTooLarge is for answers of more than 64 MiB.
func (f *Finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if int(o.Locale) >= len(v.Endpoint.Locales) {
		return fmt.Errorf("store: an answer in locale %d of %d", o.Locale, len(v.Endpoint.Locales))
	}
	if o.Size() > maxFinal {
		return ErrTooLarge
	}
	a, head := f.answerTo(v, o), session.AppendHead(nil, v, o)
	if len(o.Body) < leastShared {
		return f.keepBody(ctx, a, head, o.Body)
	}
	leave, err := f.s.keep(ctx, a.session)
	if err != nil {
		return err
	}
	defer leave()
	holders, err := f.holders(ctx, a)
	if err != nil {
		return err
	}
	if n := len(holders); n > 0 && holders[n-1].question != a.question && o.At.Before(holders[n-1].at.Add(f.s.spare()/2)) {
		return f.write(ctx, a.subject(), head)
	}
	if err := f.keepBody(ctx, a, head, o.Body); err != nil {
		return err
	}
	for _, h := range holders {
		if err := f.giveUp(ctx, h, a.question); err != nil {
			f.s.log.Warn("a second copy of a final answer could not be removed yet", "session", a.session, "error", err)
		}
	}
	return nil
}

// keep waits until nobody else changes the final answers of a session, or of some others,
// no longer than ctx. The caller must leave.
func (s *Store) keep(ctx context.Context, sessionID string) (leave func(), err error) {
	held := s.keeping[s.keys.id.sum([]byte(sessionID))[0]%byte(len(s.keeping))]
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// chunkSize is that of parts of a large body.
func (s *Store) chunkSize() int { return max(leastChunk, min(chunkSize, s.largest)) }

// keepBody stores an answer with its body.
func (f *Finals) keepBody(ctx context.Context, a answer, head, body []byte) (err error) {
	size := f.s.chunkSize()
	if len(head)+len(body) <= size {
		a.upload = whole
		return f.write(ctx, a.subject(), append(head, body...))
	}
	a.upload = nuid.Next()
	defer func() {
		if err != nil {
			f.purge(context.WithoutCancel(ctx), a.chunk("*")) // else sweep does
		}
	}()
	chunks := 0
	for chunk := range slices.Chunk(body, size) {
		if err := f.write(ctx, a.chunk(strconv.Itoa(chunks)), chunk); err != nil {
			return err
		}
		chunks++
	}
	// The size says of how much body the answer is the head.
	return f.write(ctx, a.subject(), append(binary.AppendUvarint(nil, uint64(len(body))), head...))
}

func (f *Finals) write(ctx context.Context, subject string, content []byte, options ...jetstream.PublishOpt) error {
	m := &nats.Msg{Subject: subject, Data: f.s.keys.encrypt(placeOf("final", subject), content)}
	if len(options) > 0 {
		_, err := f.s.publish(ctx, m, options...)
		return err
	}
	_, err := f.writes.put(ctx, m)
	return err
}

// Load returns the observations that were kept for v's key, the oldest first, with the
// times at which they were made. One that cannot be read is logged and left out.
func (f *Finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	var observations []*session.Observation
	q := f.question(v, v.Locale)
	err := f.each(ctx, v, q.session+"."+q.variant+".>", func(_ question, o *session.Observation) bool {
		observations = append(observations, o)
		return true
	})
	slices.SortStableFunc(observations, func(a, b *session.Observation) int { return a.At.Compare(b.At) })
	return observations, err
}

// Other returns an observation that was kept for another variant of v's session, in
// whatever locale, or nil if there is none. It costs hardly anything then.
func (f *Finals) Other(ctx context.Context, v *session.Variant) (other *session.Observation, err error) {
	own := f.question(v, v.Locale)
	err = f.each(ctx, v, own.session+".>", func(q question, o *session.Observation) bool {
		if q.variant != own.variant {
			other = o
		}
		return other == nil
	})
	return other, err
}

// each calls f for the answers of v's endpoint that match, until it returns false. What
// cannot be read is logged.
func (f *Finals) each(ctx context.Context, v *session.Variant, match string, use func(question, *session.Observation) bool) error {
	return f.messages(ctx, finalsID+".answer."+match, func(m *message) (bool, error) {
		a, err := readAnswer(m.Subject)
		var o *session.Observation
		if err == nil {
			o, err = f.read(ctx, v, a, m)
		}
		switch {
		case errors.Is(err, ErrDamaged):
			f.tellUnreadable(m.Subject, err)
		case err != nil:
			return false, err
		case o != nil:
			return use(a.question, o), nil
		}
		return true, nil
	})
}

func (f *Finals) tellUnreadable(subject string, err error) {
	f.s.log.Error("final answer cannot be read, skipping it", "subject", subject, "error", err)
}

// messages calls use for what matches, one after the other: there are few, and for most
// questions none, which is found out with every first poll of a session.
func (f *Finals) messages(ctx context.Context, match string, use func(*message) (more bool, err error)) error {
	for from := uint64(1); ; {
		m, err := f.next(ctx, from, match)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := use(m); err != nil || !more {
			return err
		}
		from = m.Sequence + 1
	}
}

// read returns the observation of an answer, or nil if its time is over or it is in a
// locale that the endpoint does not have any more.
func (f *Finals) read(ctx context.Context, v *session.Variant, a answer, m *message) (*session.Observation, error) {
	locale := slices.IndexFunc(v.Endpoint.Locales, func(l session.Locale) bool {
		return f.s.keys.hash("locale", l.Name) == a.locale
	})
	if locale < 0 {
		return nil, nil
	}
	o, size, err := f.open(a, m, locale)
	if err != nil || f.isOver(o) {
		return nil, err
	}
	return o, f.fill(ctx, a, o, size)
}

// fill gives an observation its body, wherever that is.
func (f *Finals) fill(ctx context.Context, a answer, o *session.Observation, size uint64) (err error) {
	switch a.upload {
	case whole:
	case elsewhere:
		o.Body, err = f.sharedBody(ctx, a)
	default:
		o.Body, err = f.chunks(ctx, a, size)
	}
	return err
}

// isOver reports whether an observation was made too long ago to be given to anybody.
func (f *Finals) isOver(o *session.Observation) bool {
	return !time.Now().Before(o.At.Add(f.s.cfg.Retain))
}

// open decrypts the message of an answer. Where that is not whole, size is that of the
// body, which is elsewhere.
func (f *Finals) open(a answer, m *message, locale int) (o *session.Observation, size uint64, err error) {
	content, size, err := f.content(a, m)
	if err != nil {
		return nil, 0, err
	}
	if o, err = session.ReadObservation(content, locale); err != nil {
		return nil, 0, ErrDamaged
	}
	return o, size, nil
}

// content decrypts the message of an answer: a head, and the body where that is whole.
func (f *Finals) content(a answer, m *message) (content []byte, size uint64, err error) {
	content, err = f.s.keys.decrypt(nil, placeOf("final", m.Subject), m.Data)
	if err != nil || !a.inChunks() {
		return content, 0, err
	}
	size, n := binary.Uvarint(content)
	if n <= 0 || size > maxFinal {
		return nil, 0, ErrDamaged
	}
	return content[n:], size, nil
}

// chunks returns the body of a large answer.
func (f *Finals) chunks(ctx context.Context, a answer, size uint64) ([]byte, error) {
	body := make([]byte, 0, size)
	next := 0
	err := f.messages(ctx, a.chunk("*"), func(m *message) (more bool, err error) {
		if m.Subject != a.chunk(strconv.Itoa(next)) || uint64(len(body)+len(m.Data)-sealOverhead) > size {
			return false, ErrDamaged
		}
		next++
		body, err = f.s.keys.decrypt(body, placeOf("final", m.Subject), m.Data)
		return true, err
	})
	if err == nil && uint64(len(body)) != size {
		err = fmt.Errorf("%w: a part of it is missing", ErrDamaged)
	}
	return body, err
}

// Forget erases the answers to all variants of a session, in all locales.
func (f *Finals) Forget(ctx context.Context, sessionID string) error {
	if err := checkTokens(sessionID); err != nil {
		return err
	}
	leave, err := f.s.keep(ctx, sessionID)
	if err != nil {
		return err
	}
	defer leave()
	err = f.purge(ctx, finalsID+".answer."+sessionID+".>")
	return errors.Join(err, f.purge(ctx, finalsID+".chunk."+sessionID+".>"))
}

// sweep erases the chunks of answers that were never finished. Where other processes may be
// about to finish one, its chunks have that age.
func (f *Finals) sweep(ctx context.Context, age time.Duration) error {
	ctx, cancel, err := f.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	uploads, err := f.uploads(ctx)
	if err != nil {
		return f.s.failed("read", err)
	}
	for upload := range uploads {
		needed := false
		err := f.messages(ctx, upload.question.subject("answer", ">"), func(m *message) (bool, error) {
			a, err := readAnswer(m.Subject)
			needed = needed || err == nil && a.upload == upload.upload
			return !needed, nil
		})
		if err == nil && !needed && f.s.shared {
			err = f.messages(ctx, upload.chunk("*"), func(m *message) (bool, error) {
				needed = time.Since(m.Time) < age
				return !needed, nil
			})
		}
		if err == nil && !needed {
			err = f.purge(ctx, upload.chunk("*"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// uploads returns the answers of which there are chunks. It logs what nobody would find
// any more, neither under its subject nor by looking for it.
func (f *Finals) uploads(ctx context.Context) (map[answer]struct{}, error) {
	info, err := f.js.Info(ctx, jetstream.WithSubjectFilter(f.s.prefix.subject(finalsID+".>")))
	if err != nil {
		return nil, err
	}
	uploads := map[answer]struct{}{}
	var found uint64
	for subject, count := range info.State.Subjects {
		subject = f.s.prefix.cut(subject)
		found += count
		a, err := readAnswer(subject)
		switch {
		case err != nil:
			f.tellUnreadable(subject, err)
		case strings.HasPrefix(subject, finalsID+".chunk."):
			uploads[a] = struct{}{}
		}
	}
	if found < info.State.Msgs {
		now, err := f.js.Info(ctx) // some may have gone since because their time is over
		if err != nil {
			return nil, err
		}
		if n := min(info.State.Msgs, now.State.Msgs); found < n {
			f.s.log.Error("data is damaged: final answers are lost, restore the data directory from a backup", "count", n-found)
		}
	}
	return uploads, nil
}

// SessionID is the id of v's session: its endpoint, token and credential.
func (s *Store) SessionID(v *session.Variant) string {
	return s.ID("ses_", v.Endpoint.Name, v.Token, v.Credential)
}
