package cache

import (
	"context"

	"pollbridge/session"
)

// Finals keeps final observations until they are forgotten, whatever becomes of the
// cache. All methods may block, but must heed their ctx, which ends after a few
// seconds; they are called from many goroutines.
type Finals interface {
	// Keep stores o as an answer to v. After it returned nil, Load finds o for as
	// long as final observations are kept. It is called before o is answered to
	// anybody.
	Keep(ctx context.Context, v *session.Variant, o *session.Observation) error
	// Load returns the observations that were kept for v's key, in that order.
	Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error)
	// Other returns one of the observations that were kept for other variants of v's
	// session: the same endpoint, token and credential. Nil: there are none.
	Other(ctx context.Context, v *session.Variant) (*session.Observation, error)
}
