// Package patience is for waiting for what answers at once as a rule and may hang, such as a store.
package patience

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// shortly is for how long a store is waited for that is known to hang.
const shortly = 250 * time.Millisecond

// Patience is how long those are held up for a store who can go on without it: all who wait for
// the same store share one, so that no one waits for long of what another one has waited for in
// vain. The zero value knows of no trouble. It is safe for concurrent use.
type Patience struct{ lost atomic.Bool }

// Context returns a context that ends with ctx, after most, or shortly where the store is known
// to hang.
func (p *Patience) Context(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if p.lost.Load() {
		most = min(most, shortly)
	}
	return context.WithTimeout(ctx, most)
}

// Told is told what came of something that the store had to do: where the time for it was over,
// the store hangs, until something is done again.
func (p *Patience) Told(err error) {
	switch {
	case err == nil:
		p.lost.Store(false)
	case errors.Is(err, context.DeadlineExceeded):
		p.lost.Store(true)
	}
}
