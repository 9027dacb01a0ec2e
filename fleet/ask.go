package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pollbridge/internal/period"
	"pollbridge/store"
)

// Errors of Ask that callers branch on.
var (
	// ErrHere means that this replica looks after the session itself.
	ErrHere = errors.New("fleet: this replica looks after the session")
	// ErrTaken is ErrHere, since a moment ago: what was asked may have been done by the one before.
	ErrTaken = fmt.Errorf("%w since a moment ago", ErrHere)
	// ErrCutOff means that the others cannot be reached: this replica is on its own.
	ErrCutOff = errors.New("fleet: the other replicas cannot be reached")
)

// Handler answers what is asked of the holder of a session. It is called by many goroutines at
// the same time.
type Handler func(ctx context.Context, question []byte) []byte

// Answer has h answer a kind of question, which is a single token. It is called before Start.
func (f *Fleet) Answer(kind string, h Handler) { f.handlers[kind] = h }

// The first byte of an answer.
const (
	answered = 0
	notHere  = 1 // the session is looked after elsewhere by now
)

const (
	askAgain = 25 * time.Millisecond
	// drainingAgain is askAgain where this replica takes nothing any more: others have to, which lasts
	// longer than mostAsks of the short pause.
	drainingAgain = 100 * time.Millisecond
	mostAsks      = 100 // of one call; then the fleet is in such disorder that each is on its own
)

// Ask asks the holder of a session, and takes its place if that has gone. It waits as long as
// ctx lasts for what the holder says, but not for somebody to be it: after a while the error is
// ErrCutOff. It ends with ErrTaken when this replica becomes the holder meanwhile.
func (f *Fleet) Ask(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error) {
	n := SlotOf(sessionID)
	ctx, stop := f.elsewhere(ctx, n)
	defer stop()
	began, asked, silent := time.Now(), false, false
	var without time.Time // since when nobody says that they look after the session
	for range mostAsks {
		f.mu.Lock()
		known, here, fenced := f.slots[n], f.held[n] != nil, f.fencedLocked()
		f.mu.Unlock()
		switch {
		case here && !fenced && asked:
			return nil, ErrTaken
		case here && !fenced:
			return nil, ErrHere
		case f.store.Up().Err() != nil, here:
			return nil, ErrCutOff
		}
		answer, err := f.store.Ask(ctx, subject(n, kind), question)
		asked = true
		if without.IsZero() { // until now somebody may have worked on the answer
			without = time.Now()
		}
		// Without a leader of the store's nobody can take the place of who has gone.
		left := f.timing.alone - time.Since(without)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case len(answer) > 0 && answer[0] == answered:
			return answer[1:], nil
		case left <= 0:
			return nil, ErrCutOff
		case errors.Is(err, store.ErrSilent) && !silent: // it may be very busy
			silent = true
		case errors.Is(err, store.ErrNobody), errors.Is(err, store.ErrSilent):
			// It may have become the holder this moment, or be on its way to another server.
			if min(time.Since(began), time.Since(known.since)) >= f.timing.patience {
				// One that was silent, and of whom nothing is there any more, has gone.
				if err := f.want(ctx, n, known.owner, errors.Is(err, store.ErrSilent), left); err != nil {
					return nil, err
				}
			}
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrCutOff, err)
		}
		pause := askAgain
		if f.ctx.Err() != nil {
			pause = drainingAgain
		}
		if err := period.Pause(ctx, pause); err != nil {
			return nil, err
		}
	}
	return nil, ErrCutOff
}

// taking ends when this replica takes a slot.
type taking struct {
	ctx  context.Context
	take context.CancelFunc
}

// elsewhere returns a context that ends with ErrTaken when this replica takes a slot: whoever asks its
// holder then asks one that has stopped, or itself, which may wait for the answer.
func (f *Fleet) elsewhere(ctx context.Context, n int) (until context.Context, stop func()) {
	until, cancel := context.WithCancelCause(ctx)
	f.mu.Lock()
	if f.taken[n].ctx == nil {
		f.taken[n].ctx, f.taken[n].take = context.WithCancel(context.Background())
	}
	taken := f.taken[n].ctx
	f.mu.Unlock()
	forget := context.AfterFunc(taken, func() { cancel(ErrTaken) })
	return until, func() {
		forget()
		cancel(nil)
	}
}

// takenLocked tells those who ask the holder of a slot that this replica is.
func (f *Fleet) takenLocked(n int) {
	if take := f.taken[n].take; take != nil {
		take()
		f.taken[n] = taking{}
	}
}

// underWay is longer than what was under way about a session takes when it changes hands. A poll may take longer, of an
// upstream that hardly answers any more: it is not waited for.
const underWay = 30 * time.Second

// AskBefore asks the replicas that looked after a session before this one, which does so since a
// moment ago: the last one, and those from whom it went shortly before that. It returns the first
// answer that says something. One that gives no sign of life is asked again for as long as it may only be
// busy, 30 s at most. The error is [store.ErrNobody] where there is none of them, or where that
// was longer ago, or why one did not answer.
func (f *Fleet) AskBefore(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error) {
	h, before := f.before(sessionID)
	if len(before) == 0 {
		return nil, store.ErrNobody
	}
	var failed []error
	began := time.Now()
	for _, id := range before {
		answer, err := f.store.Ask(ctx, replicaKey+id+"."+kind, question)
		for errors.Is(err, store.ErrSilent) && f.mayBeBusy(id) && time.Since(began) < underWay {
			answer, err = f.store.Ask(ctx, replicaKey+id+"."+kind, question)
		}
		if len(answer) > 0 {
			return answer, nil
		}
		if errors.Is(err, store.ErrNobody) || errors.Is(err, store.ErrSilent) {
			f.forgetBefore(h, id)
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// before returns who looked after a session that this replica holds, if they can be asked.
func (f *Fleet) before(sessionID string) (h *holding, ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h = f.held[SlotOf(sessionID)]
	if h == nil || time.Since(h.since) > underWay {
		return h, nil
	}
	for _, id := range h.before {
		// One that hangs is asked about what it gave back, not about what was taken from it for that.
		if p := f.peers[id]; id != f.id && f.aliveLocked(p) && (!p.hangs || h.hung != id) {
			ids = append(ids, id)
		}
	}
	return h, ids
}

// mayBeBusy reports whether a replica that is silent was heard of late: else it hangs.
func (f *Fleet) mayBeBusy(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[id]
	return f.aliveLocked(p) && !p.hangs && time.Now().Before(f.actsUntilLocked(p))
}

// forgetBefore has one that has gone not be asked again; until it has surely stopped it may be on its
// way to another server.
func (f *Fleet) forgetBefore(h *holding, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Now().After(h.from) {
		h.before = slices.DeleteFunc(slices.Clone(h.before), func(other string) bool { return other == id })
	}
}

// stoppedKind asks whether a replica has stopped to act as the holder of a slot. An earlier version does
// not say.
const stoppedKind = "stopped"

// stopped tells another replica so.
func (f *Fleet) stopped(_ context.Context, slot []byte) []byte {
	n, err := strconv.Atoi(string(slot))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || f.held[n] != nil {
		return nil
	}
	return []byte{1}
}

// askWhetherStopped asks the replica from which a slot was taken because it gave no sign of life. It may
// only have been slow, and know by now that it holds the slot no more.
func (f *Fleet) askWhetherStopped(ctx context.Context, n int, h *holding, id string) {
	answer, err := f.store.Ask(ctx, replicaKey+id+"."+stoppedKind, []byte(SlotName(n)))
	f.mu.Lock()
	defer f.mu.Unlock()
	h.asking = false
	if err != nil || len(answer) == 0 {
		return
	}
	if p := f.peers[id]; p != nil {
		p.hangs = false
	}
	h.hung = ""
	if from := time.Now().Add(f.window); from.Before(h.from) {
		h.from = from
	}
}

// want has a slot taken if owner still has it, unless this replica takes nothing any more. It waits no longer
// than most for that.
func (f *Fleet) want(ctx context.Context, n int, owner string, hangs bool, most time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, ErrCutOff)
	defer cancel()
	w := want{n, owner, hangs, make(chan struct{})}
	select {
	case f.wants <- w:
	case <-f.ctx.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-w.done:
		return nil
	case <-f.ctx.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func subject(slot int, kind string) string { return "slot." + SlotName(slot) + "." + kind }

// answer begins to answer for a slot.
func (f *Fleet) answer(n int) {
	answering, err := f.store.Answer(subject(n, "*"), func(ctx context.Context, subject string, question []byte) []byte {
		handler := f.handlers[subject[strings.LastIndexByte(subject, '.')+1:]]
		f.mu.Lock()
		here := f.held[n] != nil && !f.fencedLocked()
		f.mu.Unlock()
		if !here || handler == nil {
			return []byte{notHere}
		}
		answer := handler(ctx, question)
		if ctx.Err() != nil {
			return []byte{notHere} // it was lost meanwhile, and what was found out may be an error for that
		}
		return append([]byte{answered}, answer...)
	})
	if err != nil {
		f.log.Warn("a slot of the fleet cannot be answered for", "slot", n, "error", err)
		return
	}
	f.mu.Lock()
	h := f.held[n]
	if h != nil {
		h.answering = answering
	}
	f.mu.Unlock()
	if h == nil { // it was lost meanwhile
		answering.Stop()
	}
}
