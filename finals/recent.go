package finals

import (
	"cmp"
	"context"
	"errors"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Recent calls use for the answers that were kept in the time before the newest one, with what
// was asked as ask makes of it: those of which a process that was killed may have told nobody.
// Sessions that are not wanted cost next to nothing. What is damaged or gone is left out: who asks for
// it is told. What cannot be read for the moment is an error, after the others were used.
func (f *Finals) Recent(ctx context.Context, before time.Duration, wanted func(sessionID string) bool, ask func(durable []byte) (*session.Variant, error), use func(*session.Variant, *session.Observation)) error {
	var unread error
	err := f.bodies.Recent(ctx, before, wanted, func(stored *store.Stored) {
		written, err := f.read(stored)
		if err != nil || written.Variant == nil {
			return
		}
		v, err := ask(written.Variant)
		if err != nil {
			return
		}
		switch o, err := f.observation(ctx, v, stored); {
		case err == nil && o != nil:
			use(v, o)
		case err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNotFound):
			unread = err
		}
	})
	return cmp.Or(err, unread)
}
