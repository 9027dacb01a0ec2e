package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	errBodyMissing = fmt.Errorf("%w: its body is missing", ErrDamaged)
	errPartMissing = fmt.Errorf("%w: a part of it is missing", ErrDamaged)
)

// holders returns what the owner of a has with the same body, stored there, the oldest first.
// There is one, or none; for a moment, or after a crash, two.
func (b *Bodies) holders(ctx context.Context, a address) ([]*Stored, error) {
	var holders []*Stored
	err := b.messages(ctx, a.matchBody(), func(m *message) (bool, error) {
		// What cannot be read is no help to others; who asks for it is told.
		if stored, err := b.open(m); err == nil && stored.upload != elsewhere {
			holders = append(holders, stored)
		}
		return true, nil
	})
	return holders, err
}

// sharedBody returns the body of what is stored with another name.
func (b *Bodies) sharedBody(ctx context.Context, a address) ([]byte, error) {
	for range 2 { // it may be given up, for one that is stored already, in this moment
		holders, err := b.holders(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, h := range slices.Backward(holders) {
			body, err := b.Body(ctx, h)
			if !errors.Is(err, ErrDamaged) {
				return body, err
			}
		}
	}
	return nil, errBodyMissing
}

// giveUp takes the body from what is stored, which now shares that of a later one. There is
// nothing left of it if that has the same name, or its own time is over.
func (b *Bodies) giveUp(ctx context.Context, h *Stored, later string) error {
	if ttl := b.s.ttlUntil(h.at.Add(b.s.cfg.Retain)); ttl > 0 && h.Name != later {
		shared := address{h.Owner, h.Name, h.digest, elsewhere}
		if err := b.write(ctx, shared.subject(), framed(h.Head), jetstream.WithMsgTTL(ttl)); err != nil {
			return err
		}
	}
	if err := b.erase(ctx, h.sequence); err != nil {
		return err
	}
	if !h.inChunks() {
		return nil
	}
	return b.purge(ctx, h.chunk("*"))
}
