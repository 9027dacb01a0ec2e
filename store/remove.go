package store

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DeleteIf is Delete of a value that has that revision; else it fails with ErrConflict.
func (b *Bucket) DeleteIf(ctx context.Context, key string, revision uint64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	marker := nats.NewMsg(b.subject(key))
	marker.Header.Set(operationHeader, operationPurge)
	marker.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	_, err := b.s.publish(ctx, marker, jetstream.WithMsgTTL(markerAge), jetstream.WithExpectLastSequencePerSubject(revision))
	return err
}
