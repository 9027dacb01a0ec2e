package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"pollbridge/internal/period"
)

const (
	// tellers make events that nobody waits for, while all workers may wait for the upstream.
	tellers = 128
	// writeAfter is how long records are collected that nobody waits for.
	writeAfter = 200 * time.Millisecond
	// writers is how many of them are written at a time.
	writers = 512
)

// settleLater has the rest of what is new about an entry made durable soon. It needs the
// lock.
func (w *Watcher) settleLater(e *entry) {
	switch {
	case w.isGone(e), e.erased != nil:
	case len(e.owed) > 0 || e.end == Watching && e.begins:
		if !e.queued {
			e.queued = true
			w.untold = append(w.untold, e)
			w.more.Signal()
		}
	case e.dirty || e.end != Watching:
		w.unstored[e] = struct{}{}
	}
}

// tellUntilClosed makes events, the one that was first seen first.
func (w *Watcher) tellUntilClosed() {
	for failures := 0; ; {
		e := w.nextUntold()
		if e == nil {
			return
		}
		err := w.settle(w.ctx, e, told)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		w.complain(e, err)
		if !w.pause(jittered(storeRetryAfter(failures))) {
			return
		}
	}
}

// nextUntold waits for an entry with an event to be made; nil says that the watcher is
// closed.
func (w *Watcher) nextUntold() *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.untold) == 0 && w.ctx.Err() == nil {
		w.more.Wait()
	}
	if w.ctx.Err() != nil {
		return nil
	}
	e := w.untold[0]
	w.untold = w.untold[1:]
	e.queued = false
	return e
}

// writeUntilClosed stores records that nobody waits for, many at a time.
func (w *Watcher) writeUntilClosed() {
	for failures := 0; ; {
		wait := writeAfter
		if failures > 0 {
			wait = max(wait, jittered(storeRetryAfter(failures)))
		}
		if !w.pause(wait) {
			return
		}
		w.noteTold(w.ctx)
		if w.writeRecords(w.ctx) {
			failures = 0
		} else {
			failures++
		}
	}
}

// writeRecords stores the records that are not, and reports whether all could be. After the
// first failure it begins no other: the store fails for all of them.
func (w *Watcher) writeRecords(ctx context.Context) bool {
	w.mu.Lock()
	entries := make([]*entry, 0, len(w.unstored))
	for e := range w.unstored {
		entries = append(entries, e)
	}
	clear(w.unstored)
	w.mu.Unlock()
	slices.SortFunc(entries, func(a, b *entry) int { return a.changed.Compare(b.changed) }) // as lists show them
	work := make(chan *entry)
	ctx, failed := context.WithCancel(ctx)
	defer failed()
	var writing sync.WaitGroup
	for range min(writers, len(entries)) {
		writing.Go(func() {
			for e := range work {
				if err := w.settle(ctx, e, stored); err != nil {
					if ctx.Err() == nil {
						w.complain(e, err)
					}
					failed()
				}
			}
		})
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			w.mu.Lock()
			w.settleLater(e)
			w.mu.Unlock()
			continue
		}
		work <- e
	}
	close(work)
	writing.Wait()
	return ctx.Err() == nil
}

// pause returns false if the watcher was closed meanwhile.
func (w *Watcher) pause(d time.Duration) bool {
	return period.Pause(w.ctx, d) == nil
}

// complain logs the first of many failures to make something durable.
func (w *Watcher) complain(e *entry, err error) {
	if w.ctx.Err() != nil {
		return
	}
	w.complaints.Do(func() {
		w.options.Log.Error("changes of watched sessions are not stored yet", "session", e.id, "error", err)
	})
}

// storeRetryAfter is how long to wait after a number of failures in a row of the store.
func storeRetryAfter(failures int) time.Duration {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	return min(first<<min(failures-1, 10), most)
}
