package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/session"
)

// holder is an answer that is stored with its body.
type holder struct {
	answer
	*session.Observation // without its body if that is in chunks
	size                 uint64
	sequence             uint64
	at                   time.Time // when it was stored
}

// holders returns the answers of a session that have the same body as a and are stored
// with it, the oldest first. There is one, or none; for a moment, or after a crash, two.
func (f *Finals) holders(ctx context.Context, a answer) ([]holder, error) {
	var holders []holder
	err := f.messages(ctx, a.matchBody(), func(m *message) (bool, error) {
		a, err := readAnswer(m.Subject)
		if err != nil || a.upload == elsewhere {
			return true, nil
		}
		o, size, err := f.open(a, m, 0)
		if err != nil {
			return true, nil // so it is no help to others; who asks for it is told
		}
		holders = append(holders, holder{a, o, size, m.Sequence, m.Time})
		return true, nil
	})
	return holders, err
}

// sharedBody returns the body of an answer that another one holds.
func (f *Finals) sharedBody(ctx context.Context, a answer) ([]byte, error) {
	for range 2 { // it may be given up, for one that is stored already, in this moment
		holders, err := f.holders(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, h := range slices.Backward(holders) {
			if !h.inChunks() {
				return h.Body, nil
			}
			body, err := f.chunks(ctx, h.answer, h.size)
			if !errors.Is(err, ErrDamaged) {
				return body, err
			}
		}
	}
	return nil, fmt.Errorf("%w: its body is missing", ErrDamaged)
}

// giveUp takes the body from an answer, which now shares that of a later one. There is
// nothing left of it if that is to the same question, or its own time is over.
func (f *Finals) giveUp(ctx context.Context, h holder, later question) error {
	if left := time.Until(h.At.Add(f.s.cfg.Retain)); left > 0 && h.question != later {
		shared := answer{h.question, h.digest, elsewhere}
		seconds := (left + time.Second - 1).Truncate(time.Second) // the server counts no smaller ones
		if err := f.write(ctx, shared.subject(), session.AppendHead(nil, nil, h.Observation), jetstream.WithMsgTTL(seconds)); err != nil {
			return err
		}
	}
	if err := f.erase(ctx, h.sequence); err != nil {
		return err
	}
	if !h.inChunks() {
		return nil
	}
	return f.purge(ctx, h.chunk("*"))
}
