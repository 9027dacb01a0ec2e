package watch

import (
	"context"
	"math"
	"time"
)

// mostRestored bounds the pending answers for which a start waits.
const mostRestored = 10_000

// restoreNewest gives the pending answers of the watches that changed last back to
// memory, before anybody is answered. The others follow when their watches are looked at.
func (w *Watcher) restoreNewest() {
	const page, most = 250, 5 * time.Second
	ctx, cancel := context.WithTimeout(w.ctx, most)
	defer cancel()
	w.restored = math.MaxUint64
	for before, n := uint64(0), 0; n < w.mostRestored; n += page {
		rows, err := w.sessions.List(ctx, ">", before, page)
		if err != nil {
			w.options.Log.Warn("pending answers are restored later", "error", err)
			return
		}
		for _, row := range rows {
			before, w.restored = row.Revision, row.Revision
			if known, err := w.readRecord(row.Value); err == nil {
				w.restore(known)
			}
		}
		if len(rows) < page {
			return
		}
	}
}

// restore gives the pending answer of one watch back to memory.
func (w *Watcher) restore(known record) {
	if known.end == Watching && known.pending != nil {
		w.options.Restore(known.variant, known.pending)
	}
}
