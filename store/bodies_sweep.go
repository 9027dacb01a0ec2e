package store

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// abandonedAfter is how old the chunks of a body are, at the least, that no other process is
// still storing.
const abandonedAfter = time.Hour

// sweep erases the chunks of bodies that were never finished. Where other processes may be about
// to finish one, its chunks have that age.
func (b *Bodies) sweep(ctx context.Context, age time.Duration) error {
	ctx, cancel, err := b.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	uploads, err := b.uploads(ctx)
	if err != nil {
		return err
	}
	for upload := range uploads {
		needed := false
		err := b.messages(ctx, upload.of("answer", ">"), func(m *message) (bool, error) {
			a, err := readAddress(m.Subject)
			needed = needed || err == nil && a.upload == upload.upload
			return !needed, nil
		})
		if err == nil && !needed && b.s.shared {
			err = b.messages(ctx, upload.chunk("*"), func(m *message) (bool, error) {
				needed = b.s.Now().Sub(m.Time) < age
				return !needed, nil
			})
		}
		if err == nil && !needed {
			err = b.purge(ctx, upload.chunk("*"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// uploads returns of which bodies there are chunks, and has all owners known. It logs what nobody would find any more,
// neither under its subject nor by looking for it.
func (b *Bodies) uploads(ctx context.Context) (map[address]struct{}, error) {
	info, err := b.info(ctx, jetstream.WithSubjectFilter(b.s.prefix.subject(bodiesID+".>")))
	if err != nil {
		return nil, err
	}
	uploads := map[address]struct{}{}
	var found uint64
	for subject, count := range info.State.Subjects {
		subject = b.s.prefix.cut(subject)
		found += count
		a, err := readAddress(subject)
		switch {
		case err != nil:
			b.tellUnreadable(subject, err)
		case strings.HasPrefix(subject, bodiesID+".chunk."):
			uploads[a] = struct{}{}
		default:
			b.s.owners.add(a.owner)
		}
	}
	if !b.s.shared {
		b.s.owners.completeNow()
	}
	if found < info.State.Msgs {
		now, err := b.state(ctx) // some may have gone since because their time is over
		if err != nil {
			return nil, err
		}
		if n := min(info.State.Msgs, now.Msgs); found < n {
			b.s.log.Error("data is damaged: final answers are lost, restore the data directory from a backup", "count", n-found)
		}
	}
	return uploads, nil
}
