package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"pollbridge/session"
)

// Finals keeps final answers for Config.Retain, encrypted. It implements what package
// cache needs. It is safe for concurrent use.
//
// An answer is one message, or, if it is large, several and then one that tells of
// them: without that one there is no answer.
type Finals struct {
	s      *Store
	stream jetstream.Stream
}

const (
	finalsID  = "FINALS"
	maxFinal  = 64 << 20
	chunkSize = 4 << 20
	whole     = "whole" // stands for the name of an upload
)

// Finals opens the place for final answers and makes it if it is not there.
func (s *Store) Finals(ctx context.Context) (*Finals, error) {
	stream, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: finalsID, Subjects: []string{finalsID + ".answer.>", finalsID + ".chunk.>"}, MaxAge: s.cfg.Retain,
	})
	if err != nil {
		return nil, err
	}
	f := &Finals{s: s, stream: stream}
	s.sweepOnce.Do(func() { err = f.sweep(ctx) })
	return f, err
}

// question is what answers are kept for: a variant in one locale. It holds hashes
// instead of secrets.
type question struct{ session, variant, locale string }

func (f *Finals) question(v *session.Variant, locale int) question {
	return question{
		session: f.s.SessionID(v),
		variant: f.s.keys.hash("variant", string(v.Identity())),
		locale:  f.s.keys.hash("locale", v.Endpoint.Locales[locale].Name),
	}
}

func (q question) answers(upload string) string {
	return strings.Join([]string{finalsID, "answer", q.session, q.variant, q.locale, upload}, ".")
}

func (q question) chunk(upload, number string) string {
	return strings.Join([]string{finalsID, "chunk", q.session, q.variant, q.locale, upload, number}, ".")
}

// Keep stores o as an answer to v. When it returns nil, that is durable, and Load finds
// it. ErrTooLarge is for answers of more than 64 MiB.
func (f *Finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if int(o.Locale) >= len(v.Endpoint.Locales) {
		return fmt.Errorf("store: an answer in locale %d of %d", o.Locale, len(v.Endpoint.Locales))
	}
	if o.Size() > maxFinal {
		return ErrTooLarge
	}
	q := f.question(v, int(o.Locale))
	head := appendHead(nil, o)
	if len(head)+len(o.Body) <= chunkSize {
		return f.write(ctx, q.answers(whole), append(head, o.Body...))
	}
	return f.keepLarge(ctx, q, head, o.Body)
}

func (f *Finals) keepLarge(ctx context.Context, q question, head, body []byte) (err error) {
	upload := nuid.Next()
	defer func() {
		if err != nil {
			f.s.purge(context.WithoutCancel(ctx), f.stream, q.chunk(upload, "*")) // else sweep does
		}
	}()
	chunks := 0
	for chunk := range slices.Chunk(body, chunkSize) {
		if err := f.write(ctx, q.chunk(upload, strconv.Itoa(chunks)), chunk); err != nil {
			return err
		}
		chunks++
	}
	// The size says of how much body the answer is the head.
	return f.write(ctx, q.answers(upload), append(binary.AppendUvarint(nil, uint64(len(body))), head...))
}

func (f *Finals) write(ctx context.Context, subject string, content []byte) error {
	_, err := f.s.publish(ctx, &nats.Msg{Subject: subject, Data: f.s.keys.encrypt(placeOf("final", subject), content)})
	return err
}

// Load returns the observations that were kept for v's key, in that order, with the
// times at which they were made. One that cannot be read is logged and left out.
func (f *Finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	var observations []*session.Observation
	var answers []*message
	q := f.question(v, v.Locale)
	q.locale = "*"
	// One after the other: there are few, and for most questions none, which is found
	// out with every first poll of a session.
	for from := uint64(1); ; from = answers[len(answers)-1].sequence + 1 {
		m, err := f.s.get(ctx, finalsID, getRequest{Sequence: from, NextFor: q.answers("*")})
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, m)
	}
	for _, answer := range answers {
		o, err := f.read(ctx, v, answer)
		if errors.Is(err, ErrDamaged) {
			f.s.log.Error("A final answer cannot be read and is left out", "session", q.session, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if o != nil {
			observations = append(observations, o)
		}
	}
	return observations, nil
}

// read returns the observation of an answer, or nil if it is in a locale that the
// endpoint does not have any more.
func (f *Finals) read(ctx context.Context, v *session.Variant, m *message) (*session.Observation, error) {
	tokens := strings.Split(m.subject, ".")
	q, upload := question{tokens[2], tokens[3], tokens[4]}, tokens[5]
	locale := slices.IndexFunc(v.Endpoint.Locales, func(l session.Locale) bool {
		return f.s.keys.hash("locale", l.Name) == q.locale
	})
	if locale < 0 {
		return nil, nil
	}
	content, err := f.s.keys.decrypt(nil, placeOf("final", m.subject), m.data)
	if err != nil {
		return nil, err
	}
	if upload != whole {
		if content, err = f.readLarge(ctx, q, upload, content); err != nil {
			return nil, err
		}
	}
	return readObservation(content, locale)
}

func (f *Finals) readLarge(ctx context.Context, q question, upload string, content []byte) ([]byte, error) {
	size, n := binary.Uvarint(content)
	if n <= 0 || size > maxFinal {
		return nil, ErrDamaged
	}
	content = append(make([]byte, 0, len(content)-n+int(size)), content[n:]...)
	total := len(content) + int(size)
	var damage error
	next := 0
	err := f.s.scan(ctx, finalsID, q.chunk(upload, "*"), 1, maxFinal/chunkSize, func(m *message) bool {
		if m.subject != q.chunk(upload, strconv.Itoa(next)) || len(content)+len(m.data)-sealOverhead > total {
			damage = ErrDamaged
			return false
		}
		next++
		content, damage = f.s.keys.decrypt(content, placeOf("final", m.subject), m.data)
		return damage == nil
	})
	switch {
	case err != nil:
		return nil, err
	case damage != nil:
		return nil, damage
	case len(content) != total:
		return nil, fmt.Errorf("%w: a part of it is missing", ErrDamaged)
	}
	return content, nil
}

// Forget erases the answers to all variants of a session, in all locales.
func (f *Finals) Forget(ctx context.Context, sessionID string) error {
	if err := checkTokens(sessionID); err != nil {
		return err
	}
	err := f.s.purge(ctx, f.stream, finalsID+".answer."+sessionID+".>")
	return errors.Join(err, f.s.purge(ctx, f.stream, finalsID+".chunk."+sessionID+".>"))
}

// sweep erases the chunks of answers that were never finished.
func (f *Finals) sweep(ctx context.Context) error {
	uploads := map[string]string{} // subject of the chunks, by that of their answer
	ctx, cancel, err := f.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	info, err := f.stream.Info(ctx, jetstream.WithSubjectFilter(finalsID+".chunk.>"))
	if err != nil {
		return f.s.failed("read", err)
	}
	for subject := range info.State.Subjects {
		tokens := strings.Split(subject, ".")
		q := question{tokens[2], tokens[3], tokens[4]}
		uploads[q.answers(tokens[5])] = q.chunk(tokens[5], "*")
	}
	for answer, chunks := range uploads {
		_, err := f.s.last(ctx, finalsID, answer)
		if errors.Is(err, ErrNotFound) {
			err = f.s.purge(ctx, f.stream, chunks)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SessionID is the id of v's session: its endpoint, token and credential.
func (s *Store) SessionID(v *session.Variant) string {
	return s.ID("ses_", v.Endpoint.Name, v.Token, v.Credential)
}
