package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Get returns what is known about a session, or ErrNotFound.
func (w *Watcher) Get(ctx context.Context, id string) (Session, error) {
	known, err := w.find(ctx, id)
	if err != nil {
		return Session{}, err
	}
	return w.describe(id, known), nil
}

// errElsewhere is why a session is not erased whose slot has changed hands meanwhile.
var errElsewhere = errors.New("another replica looks after the session by now")

// find looks for a session among those that are watched, then in the store.
func (w *Watcher) find(ctx context.Context, id string) (record, error) {
	w.mu.Lock()
	e, known := w.live[id]
	if known && e.known() {
		defer w.mu.Unlock()
		return e.record, nil
	}
	w.mu.Unlock()
	if !store.IsID(id) {
		return record{}, ErrNotFound
	}
	found, _, err := w.read(ctx, id)
	return found, err
}

// known reports whether others may know of the session: there is a record, or soon will be,
// as the session has ended.
func (e *entry) known() bool {
	return e.erased == nil && (e.revision > 0 || e.end == Final)
}

// newest is a record that was read, or what is known of the session by now.
func (w *Watcher) newest(id string, known record) record {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, live := w.live[id]; live && e.known() {
		return e.record
	}
	return known
}

// unwritten are sessions that have ended and have no record yet, as it is written a moment
// later; the ones that changed last come first.
func (w *Watcher) unwritten(status string, limit int) (found []Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.unstored {
		if s := (Session{State: e.state, End: e.end}); e.known() && e.revision == 0 && (status == "" || s.Status() == status) {
			found = append(found, w.describe(e.id, e.record))
		}
	}
	slices.SortFunc(found, func(a, b Session) int { return b.Changed.Compare(a.Changed) })
	return found[:min(limit, len(found))]
}

// mostLookedAt bounds how many sessions one call of List looks at.
const mostLookedAt = 10_000

// listedAtOnce is how many sessions are read at once where few of them may be wanted.
const listedAtOnce = 500

// List returns up to limit sessions, the ones that changed last first. status is what
// [Session.Status] says, or empty for all. before is where the page before ended, 0 for the first
// one. next is 0 at the end; a page may be shorter than limit, even empty, and yet not
// the last.
func (w *Watcher) List(ctx context.Context, status string, before uint64, limit int) (page []Session, next uint64, err error) {
	first := map[string]bool{}
	if before == 0 {
		for _, s := range w.unwritten(status, limit-1) { // so that a page leads to another one
			first[s.ID] = true
			page = append(page, s)
		}
	}
	each := limit
	if status != "" {
		each = max(limit, listedAtOnce)
	}
	for looked := 0; looked < mostLookedAt; {
		rows, err := w.sessions.List(ctx, before, each)
		if err != nil {
			return nil, 0, fmt.Errorf("watch: %w", err)
		}
		for _, row := range rows {
			before = row.Revision
			if first[row.Key] {
				continue
			}
			known, err := w.readRecord(row.Value)
			if err != nil {
				continue // of an endpoint that is not configured any more
			}
			if s := w.describe(row.Key, w.newest(row.Key, known)); status == "" || s.Status() == status {
				page = append(page, s)
			}
			if len(page) == limit {
				return page, before, nil
			}
		}
		if len(rows) < each {
			return page, 0, nil
		}
		looked += len(rows)
	}
	return page, before, nil
}

// Delete stops watching a session and erases everything that is kept about it: its
// final answers, its events, its record. It returns ErrNotFound if there is none. After
// another error, part of it may be left; Delete again. Memory forgets what was asked in
// the plain way; what was asked with further fields goes when its time is over. After a start
// Delete waits until all watches of before are taken up: what is still to come might bring the
// session back. Where this process no more looks after the session when it returns, whoever does
// has to Delete it again.
func (w *Watcher) Delete(ctx context.Context, id string) error {
	if err := w.awaitTakenUp(ctx, id); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	v, err := w.variantOf(ctx, id)
	switch {
	case err == nil:
		err = w.erase(ctx, id, v)
	case errors.Is(err, ErrNotFound):
		err = w.eraseEvents(ctx, id)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("watch: %w", err)
	}
	return err
}

func (w *Watcher) awaitTakenUp(ctx context.Context, id string) error {
	w.mu.Lock()
	var under []*takeUp
	for t := range w.takeUps {
		if _, concerns := w.concerns(t, id); concerns {
			under = append(under, t)
		}
	}
	w.mu.Unlock()
	for _, t := range under {
		select {
		case <-t.done:
			continue
		default:
		}
		select {
		case <-t.done:
		case <-w.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// variantOf returns what a session is asked for with, however little is stored of it.
func (w *Watcher) variantOf(ctx context.Context, id string) (*session.Variant, error) {
	w.mu.Lock()
	e, live := w.live[id]
	if live && e.variant != nil {
		defer w.mu.Unlock()
		return e.variant, nil
	}
	w.mu.Unlock()
	known, err := w.find(ctx, id)
	return known.variant, err
}

func (w *Watcher) erase(ctx context.Context, id string, v *session.Variant) (err error) {
	e, err := w.stop(ctx, id)
	if err != nil {
		return err
	}
	defer func() { w.stopped(e, err == nil) }()
	// First, so that what is under way brings nothing later.
	if err := w.options.Erase(ctx, v); err != nil {
		return err
	}
	if err := w.options.Finals.Forget(ctx, id); err != nil {
		return err
	}
	if err := w.options.Events.EraseSession(ctx, id); err != nil {
		return err
	}
	// And what was asked since: memory may have asked Finals.
	if err := w.options.Erase(ctx, v); err != nil {
		return err
	}
	if err := w.options.Finals.Forget(ctx, id); err != nil {
		return err
	}
	if !w.owns(id) { // whoever does may have taken it up
		return errElsewhere
	}
	return w.sessions.Delete(ctx, id) // last, so that what has failed before can be tried again
}

// eraseEvents erases what is left of a session that was forgotten a while after its
// end.
func (w *Watcher) eraseEvents(ctx context.Context, id string) error {
	if !store.IsID(id) {
		return ErrNotFound
	}
	if known, err := w.options.Events.Knows(ctx, id); err != nil || !known {
		return cmp.Or(err, ErrNotFound)
	}
	return w.options.Events.EraseSession(ctx, id)
}

// stop ends the watch of a session without an event, and keeps it from being watched again
// until stopped is told of what it returns.
func (w *Watcher) stop(ctx context.Context, id string) (*entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		e, known := w.live[id]
		if !known {
			e = newEntry(id, record{})
			w.add(e)
		}
		busy := e.erased
		if busy == nil {
			e.erased, busy = make(chan struct{}), e.settling
			if e.variant != nil && e.end == Watching {
				w.options.Schedule.ended(e.variant, e.from, e.lived(time.Time{}))
			}
			if busy == nil {
				return e, nil
			}
			err := w.await(ctx, busy)
			if err != nil {
				w.goOn(e)
			}
			return e, err
		}
		if err := w.await(ctx, busy); err != nil { // somebody else erases it
			return nil, err
		}
	}
}

// stopped is told whether a session was erased. If it was not, all goes on.
func (w *Watcher) stopped(e *entry, erased bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !erased && e.variant != nil {
		w.goOn(e)
		return
	}
	w.remove(e)
	if erased {
		for t := range w.takeUps {
			t.gone[e.id] = struct{}{}
		}
	}
	close(e.erased)
}

// goOn has a session be watched that was to be erased. It needs the lock.
func (w *Watcher) goOn(e *entry) {
	close(e.erased)
	e.erased = nil
	w.settleLater(e)
	w.keep(e)
}

// await waits for a channel that is closed, without the lock. It needs the lock.
func (w *Watcher) await(ctx context.Context, busy <-chan struct{}) error {
	return w.unlocked(func() error {
		select {
		case <-busy:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
