package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const (
	mostSingle = 2        // messages that are written one by one at a time
	leastBatch = 16       // messages; fewer are written one by one as soon
	mostBatch  = 256      // messages
	mostOfOne  = 64 << 10 // bytes of a message in a batch

	// What nobody waits for is collected, where there is much of it: so many messages, or for
	// so long. An event is news to somebody, a record is not.
	worthWaiting      = mostBatch
	collectingEvents  = 25 * time.Millisecond
	collectingRecords = 100 * time.Millisecond
)

// Unhurried returns a context for writes that nobody waits for: they are as durable, but where
// many write they are collected for a moment, and leave the way to others.
func Unhurried(ctx context.Context) context.Context { return context.WithValue(ctx, unhurried{}, true) }

type unhurried struct{}

// writes is what is written to one stream: by those who are waited for, and the others.
type writes struct{ hurried, unhurried group }

func newWrites(s *Store, collecting time.Duration) *writes {
	return &writes{group{s: s, least: leastBatch}, group{s: s, least: worthWaiting, collecting: collecting}}
}

// put writes a message durably, and returns its sequence. If ctx ends before that, it may be
// written all the same.
func (w *writes) put(ctx context.Context, m *nats.Msg) (uint64, error) {
	if ctx.Value(unhurried{}) != nil {
		return w.unhurried.put(ctx, m)
	}
	return w.hurried.put(ctx, m)
}

// group writes messages of one stream. A server that syncs each message by itself writes a few
// thousand a second, however many wait for it; a batch it syncs as one, which takes as long as
// ten messages or so. So where many wait they become a batch, and where few do none waits for
// others. Whoever waits first writes the batch.
//
// There are no batches where the server syncs later, or copies what it writes to others: it
// takes together what comes then.
type group struct {
	s          *Store
	least      int           // of a batch
	collecting time.Duration // after which a smaller one will do

	mu      sync.Mutex
	single  int      // how many messages are being written one by one; guarded by mu, as below
	batch   bool     // one is being written
	waiting []*write // in the order in which they came
	timer   bool     // runs
}

// write is a message that waits for its turn.
type write struct {
	m    *nats.Msg
	at   time.Time
	turn chan []*write // gets what it has to write: itself, or a batch that it is the first of
	done chan struct{} // closed when it was written in a batch

	leads bool // it is its turn; guarded by group.mu

	sequence uint64 // set by then, as is err
	err      error
}

func (g *group) put(ctx context.Context, m *nats.Msg) (uint64, error) {
	if !g.s.conn.SyncsEach() || len(m.Data) > mostOfOne {
		return g.s.publish(ctx, m)
	}
	w := &write{m: m, at: time.Now(), turn: make(chan []*write, 1), done: make(chan struct{})}
	g.enter(w)
	var batch []*write
	select {
	case batch = <-w.turn:
	case <-w.done:
	case <-ctx.Done():
		if !g.leads(w) {
			return 0, context.Cause(ctx)
		}
		batch = <-w.turn // others wait for it
	}
	switch len(batch) {
	case 0: // somebody else has written it
	case 1:
		w.sequence, w.err = g.s.publish(ctx, m)
		g.over(false)
	default:
		g.s.running.Go(func() {
			g.putBatch(batch)
			g.over(true)
		})
		select {
		case <-w.done:
		case <-ctx.Done(): // the others may have more time
			return 0, context.Cause(ctx)
		}
	}
	return w.sequence, w.err
}

func (g *group) enter(w *write) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, w)
	g.goOnLocked()
}

// leads reports whether it is a message's turn. If not, it does not wait for it any more.
func (g *group) leads(w *write) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return w.leads
}

func (g *group) over(batch bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if batch {
		g.batch = false
	} else {
		g.single--
	}
	g.goOnLocked()
}

// goOnLocked gives those their turn who need not wait longer.
func (g *group) goOnLocked() {
	for len(g.waiting) > 0 && !g.batch {
		n := 1
		switch {
		case g.single < mostSingle:
			g.single++
		case len(g.waiting) >= g.leastLocked():
			n, g.batch = min(len(g.waiting), mostBatch), true
		default:
			g.wakeLocked()
			return
		}
		next := slices.Clone(g.waiting[:n])
		g.waiting = slices.Delete(g.waiting, 0, n)
		next[0].leads = true
		next[0].turn <- next
	}
}

// leastLocked is how many have to wait for a batch.
func (g *group) leastLocked() int {
	if time.Since(g.waiting[0].at) >= g.collecting {
		return leastBatch
	}
	return g.least
}

// wakeLocked has it looked again when there was time to collect.
func (g *group) wakeLocked() {
	if g.timer || g.collecting == 0 || len(g.waiting) < leastBatch {
		return
	}
	g.timer = true
	time.AfterFunc(g.collecting-time.Since(g.waiting[0].at), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = false
		g.goOnLocked()
	})
}

// putBatch writes a batch for all who wait for it.
func (g *group) putBatch(batch []*write) {
	messages := make([]*nats.Msg, len(batch))
	for i, w := range batch {
		messages[i] = &nats.Msg{Subject: g.s.prefix.subject(w.m.Subject), Data: w.m.Data, Header: nats.Header{}}
		maps.Copy(messages[i].Header, w.m.Header)
	}
	sequence, err := g.s.publishBatch(messages)
	var api *jetstream.APIError
	if errors.As(err, &api) || errors.Is(err, ErrConflict) {
		g.putOneByOne(batch)
		return
	}
	for i, w := range batch {
		w.sequence, w.err = sequence-uint64(len(batch)-1-i), err
		close(w.done)
	}
}

// putOneByOne writes what cannot be written as a batch: one of them, and so none was. Where the
// server fails, the others are not tried.
func (g *group) putOneByOne(batch []*write) {
	var broken error
	for _, w := range batch {
		if w.err = broken; broken == nil {
			w.sequence, w.err = g.s.publish(g.s.ctx, w.m)
		}
		if _, refused := errors.AsType[*jetstream.APIError](w.err); w.err != nil && !refused && !errors.Is(w.err, ErrConflict) {
			broken = w.err
		}
		close(w.done)
	}
}

// publishBatch writes messages durably, all or none, and returns the sequence of the last one.
func (s *Store) publishBatch(messages []*nats.Msg) (uint64, error) {
	ctx, cancel, err := s.use(s.ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	ack, err := jetstreamext.PublishMsgBatch(ctx, s.js, messages)
	if err != nil {
		return 0, s.failed("write", err)
	}
	return ack.Sequence, nil
}
