package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"

	"pollbridge/store"
)

// Progress says how far it is with a part of what is moved.
type Progress struct {
	Part    string // what that is, in plural
	Records uint64
	Of      uint64 // about; 0: that is not known
	Bytes   uint64
	Over    bool
}

// Export writes everything that is stored. about is what the file says of itself; its id, time and
// keys are set here. Nothing may be left out: a stream that this version does not know is an error.
func Export(ctx context.Context, s *store.Store, out io.Writer, about Header, tell func(Progress)) (records uint64, err error) {
	names, err := s.Streams(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if _, known := partOf(name); !known && !slices.Contains(left, name) {
			return 0, fmt.Errorf("there is something stored that this version does not know (%s): of a later version, export it with that; of an earlier one, start this one there once and stop it", name)
		}
	}
	about.ID, about.Made = uuid.NewString(), s.Now().UTC()
	if about.Keys, err = s.OwnKeys(ctx); err != nil {
		return 0, err
	}
	w, err := newWriter(out)
	if err != nil {
		return 0, err
	}
	if err := w.json(frameHeader, about); err != nil {
		return 0, err
	}
	for _, p := range parts {
		n, err := exportPart(ctx, s, w, p, tell)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.label, err)
		}
		records += n
	}
	if err := w.json(frameClose, ending{Records: records}); err != nil {
		return 0, err
	}
	return records, w.out.Flush()
}

func exportPart(ctx context.Context, s *store.Store, w *writer, p part, tell func(Progress)) (uint64, error) {
	from, err := s.Outgoing(ctx, p.stream)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := w.json(frameStream, from.MovedStream); err != nil {
		return 0, err
	}
	done := Progress{Part: p.label, Of: from.About}
	last, err := from.Each(ctx, func(some []store.Moved) error {
		done.add(some)
		tell(done)
		return w.messages(some)
	})
	if err != nil {
		return 0, err
	}
	done.Over = true
	tell(done)
	return done.Records, w.json(frameEnd, ending{done.Records, last})
}

func (p *Progress) add(some []store.Moved) {
	p.Records += uint64(len(some))
	for _, m := range some {
		p.Bytes += uint64(len(m.Data))
	}
}
