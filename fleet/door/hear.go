package door

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/cache"
	"pollbridge/internal/period"
	"pollbridge/session"
)

const (
	// hearTime bounds how long a replica waits for what another one has heard of: clients wait for it.
	hearTime  = time.Second
	hearAgain = time.Second
	// lateTime bounds it where nobody waits.
	lateTime   = 10 * time.Second
	lateAtOnce = 16
)

// unheard holds sessions that were seen while it was not known in time who wants to know of them. The zero
// value is empty.
type unheard struct {
	mu  sync.Mutex
	all map[string]sighting // guarded by mu; by the key of the variant
}

// add returns false where there is no room.
func (u *unheard) add(v *session.Variant, at time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.all[v.Key()]; !known && len(u.all) >= mostSeen {
		return false
	}
	if u.all == nil {
		u.all = map[string]sighting{}
	}
	u.all[v.Key()] = sighting{v: v, at: at}
	return true
}

func (u *unheard) take() []sighting {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := slices.Collect(maps.Values(u.all))
	u.all = nil
	return all
}

// hear has this replica know who wants to know of v's session, be it since a moment ago, by a
// subscription that was made at another one. What it does not hear in time it hears later.
func (d *Door) hear(ctx context.Context, v *session.Variant) {
	if d.o.Subscriptions.Wants(v) {
		return
	}
	at := time.Now()
	ctx, cancel := context.WithTimeout(ctx, hearTime)
	defer cancel()
	err := d.o.Subscriptions.Current(ctx)
	if err == nil {
		return
	}
	d.o.Log.Debug("another replica may know of subscriptions that this one does not", "session", d.o.ID(v), "error", err)
	if !d.unheard.add(v, at) {
		d.o.Log.Error("too many sessions wait for subscriptions to be known: one may not be watched", "session", d.o.ID(v))
	}
	select {
	case d.late <- struct{}{}:
	default:
	}
}

// hearUntilClosed hears later what was not heard in time.
func (d *Door) hearUntilClosed() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.late:
		}
		for d.hearLate() != nil {
			if period.Pause(d.ctx, hearAgain) != nil {
				return
			}
		}
	}
}

// hearLate has those who want to know told of what was seen without that they were known.
func (d *Door) hearLate() error {
	ctx, cancel := context.WithTimeout(d.ctx, lateTime)
	defer cancel()
	if err := d.o.Subscriptions.Current(ctx); err != nil {
		return err
	}
	var looking errgroup.Group
	looking.SetLimit(lateAtOnce)
	for _, each := range d.unheard.take() {
		if !d.o.Subscriptions.Wants(each.v) || d.erasures.after(d.o.ID(each.v), each.at) || time.Since(each.at) > d.o.Remembered {
			continue
		}
		looking.Go(func() error {
			// Whatever is answered afresh was told to those who want to know, or is now.
			result, err := d.statuses.GetFor(d.ctx, each.v, "")
			if err == nil && result.How == cache.Stale {
				err = cmp.Or(result.Err, errStale)
			}
			if err != nil {
				d.unheard.add(each.v, each.at)
			}
			return err
		})
	}
	return looking.Wait()
}

// errStale is why what is known of a session is not news.
var errStale = errors.New("door: the upstream gave no answer")
