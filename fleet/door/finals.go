package door

import (
	"context"
	"errors"

	"pollbridge/session"
)

// Finals returns the final answers for the cache of this replica. Those of sessions that another
// one looks after are that one's business: it is asked in any case.
func (d *Door) Finals() *Finals { return &Finals{d} }

// Finals implements cache.Finals. Get one from [Door.Finals].
type Finals struct{ d *Door }

var errNotCurrent = errors.New("door: it is not known yet what other replicas have done")

// Keep stores what was observed here, whoever looks after the session, once it is known that the
// session was not erased meanwhile.
func (f *Finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	switch {
	case !f.d.o.Fleet.Current():
		return errNotCurrent
	case f.d.erasures.after(f.d.o.ID(v), o.At):
		return nil
	}
	return f.d.o.Finals.Keep(ctx, v, o)
}

// Load returns nothing of sessions that another replica looks after.
func (f *Finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	if !f.d.o.Fleet.Holds(f.d.o.ID(v)) {
		return nil, nil
	}
	return f.d.o.Finals.Load(ctx, v)
}

// Other returns nothing of sessions that another replica looks after.
func (f *Finals) Other(ctx context.Context, v *session.Variant) (*session.Observation, error) {
	if !f.d.o.Fleet.Holds(f.d.o.ID(v)) {
		return nil, nil
	}
	return f.d.o.Finals.Other(ctx, v)
}
