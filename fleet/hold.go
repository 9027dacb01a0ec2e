package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/internal/period"
	"pollbridge/store"
)

// holding is a slot that this replica holds.
type holding struct {
	since     time.Time // when this replica took it
	before    []string  // who held it before, the last one first: those who can be asked
	from      time.Time // when they have surely stopped
	hung      string    // from whom it was taken because that one gave no sign of life; empty: from nobody
	asking    bool      // that one is asked whether it has stopped
	answering *store.Answering
}

func (h *holding) stopAnswering() {
	if h.answering != nil {
		h.answering.Stop()
	}
}

// want is a slot that somebody cannot wait for: its holder does not answer.
type want struct {
	slot  int
	owner string        // who that is
	hangs bool          // it is there, and gives no sign of life
	done  chan struct{} // closed when it was tried to take it
}

func (f *Fleet) slotChanged(name string, c store.Change) {
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 || n >= Slots {
		return
	}
	var r slotRecord
	if !c.Gone {
		if err := json.Unmarshal(c.Value, &r); err != nil {
			f.log.Warn("a slot of the fleet cannot be read", "slot", n, "error", err)
		}
	}
	f.mu.Lock()
	if c.Revision <= f.slots[n].revision { // it is known, from the write
		f.mu.Unlock()
		return
	}
	f.slots[n] = slot{r.Owner, r.Keeper, r.Earlier, c.Revision, time.Now()}
	if h := f.held[n]; h != nil && r.Owner != f.id {
		f.log.Warn("another replica has taken over", "slot", n, "replica", r.Owner)
		delete(f.held, n)
		f.lost[n] = h
		h.stopAnswering()
	}
	f.mu.Unlock()
	if r.Owner != f.id {
		f.wakeUp()
	}
}

// endLost ends what goes on about slots that others have taken.
func (f *Fleet) endLost() {
	f.mu.Lock()
	lost := f.lost
	f.lost = map[int]*holding{}
	f.mu.Unlock()
	if len(lost) == 0 {
		return
	}
	f.holder.End(slices.Collect(maps.Keys(lost)))
}

// aliveLocked reports whether a replica is there, as far as is known here. One is missed only
// after a while in which this replica would have heard it: without a leader of the store's nobody
// is heard.
func (f *Fleet) aliveLocked(p *peer) bool {
	switch {
	case p == nil:
		return false
	case f.newest.Sub(p.at) <= f.timing.dead: // by the store's clock, which may jump with its leader
		return true
	case time.Since(p.heard) < f.timing.dead-f.timing.heartbeat: // one of before the start was heard long ago
		return true
	}
	return !f.currentLocked() || time.Since(f.currentSince) < f.timing.gap()
}

// fencedLocked reports whether this replica must not act as the holder of what it holds: others
// may have taken it, or be about to.
func (f *Fleet) fencedLocked() bool {
	return time.Since(f.renewed) >= f.timing.fenced || !f.downSince.IsZero() && time.Since(f.downSince) >= f.window
}

// Current reports whether the others do nothing without this replica. One that was cut off for so long
// that they may have is not current until it has heard of that: its next heartbeat comes back after
// all that was written before it.
func (f *Fleet) Current() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.renewed) < f.timing.fenced
}

// currentLocked reports whether what is known of others is current.
func (f *Fleet) currentLocked() bool { return time.Since(f.ownHeard) < f.timing.gap() }

// Holds reports whether this replica looks after a session now.
func (f *Fleet) Holds(sessionID string) bool {
	return f.While(sessionID, func() {})
}

// While calls note if this replica looks after a session now, and reports whether it does. It hands the session
// to nobody while note runs, so whoever looks after it next finds what was noted; one that takes it without being
// handed it may not. note must not block, nor call f.
func (f *Fleet) While(sessionID string, note func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	holds := f.held[SlotOf(sessionID)] != nil && !f.fencedLocked()
	if holds {
		note()
	}
	return holds
}

// Owns reports whether a session is this replica's, though it may not know for the moment whether
// others think so.
func (f *Fleet) Owns(sessionID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[SlotOf(sessionID)] != nil
}

// Since is from when on nobody else asks the upstream about a session that this replica looks after,
// if it does; it may be a moment from now.
func (f *Fleet) Since(sessionID string) (at time.Time, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.held[SlotOf(sessionID)]
	if h == nil {
		return time.Time{}, false
	}
	return later(h.since, h.from), true
}

// lookAgain is how soon it is asked again whether a holder has stopped.
const lookAgain = 100 * time.Millisecond

// Ready waits until whoever looked after a session before has surely stopped: that one says so, or
// enough time has passed. The error is the cause of ctx.
func (f *Fleet) Ready(ctx context.Context, sessionID string) error {
	n := SlotOf(sessionID)
	for {
		f.mu.Lock()
		h := f.held[n]
		if h == nil {
			f.mu.Unlock()
			return nil
		}
		left, hung := time.Until(h.from), h.hung
		ask := left > 0 && hung != "" && !h.asking
		h.asking = h.asking || ask
		f.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if ask {
			f.askWhetherStopped(ctx, n, h, hung)
		}
		if hung != "" {
			left = min(left, lookAgain)
		}
		if err := period.Pause(ctx, left); err != nil {
			return err
		}
	}
}

func (f *Fleet) balanceUntilClosed() {
	tick := time.NewTicker(f.timing.heartbeat / 2)
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		case <-f.wake:
		case w := <-f.wants:
			f.endLost() // or what was taken back would be ended
			f.takeWanted(w)
			continue
		}
		f.endLost()
		f.balance()
	}
}

// takeWanted takes slots whose holder does not answer.
func (f *Fleet) takeWanted(first want) {
	wanted := []want{first}
	for len(f.wants) > 0 {
		wanted = append(wanted, <-f.wants)
	}
	free := map[int]claim{}
	f.meet()
	f.mu.Lock()
	for _, w := range wanted {
		if f.slots[w.slot].owner != w.owner || f.held[w.slot] != nil || f.lost[w.slot] != nil {
			continue // it has changed hands since
		}
		p := f.peers[w.owner]
		if p != nil {
			p.hangs = w.hangs
		} else if w.hangs && !f.abandonedLocked(f.slots[w.slot]) {
			continue // it is not known for how long it acts
		}
		free[w.slot] = claim{f.slots[w.slot].revision, true, w.hangs}
	}
	may := f.currentLocked() && !f.own.Draining
	f.mu.Unlock()
	if may {
		f.take(free)
	}
	for _, w := range wanted {
		close(w.done)
	}
}

// balance takes slots without a holder, or gives some back, until this replica has its share.
func (f *Fleet) balance() {
	f.meet()
	take, surplus := f.plan()
	f.take(take)
	ctx, cancel := context.WithTimeout(f.ctx, callTime)
	defer cancel()
	f.release(ctx, surplus)
}

// meet looks up those who hold slots, or did, and are not known here: what a replica says of itself is
// replaced again and again, and a watch may have passed by it. Until a holder is known, or known to be
// absent, its slots stay with it.
func (f *Fleet) meet() {
	unknown := f.unknown()
	if len(unknown) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(f.ctx, callTime)
	defer cancel()
	var meeting errgroup.Group
	meeting.SetLimit(atOnce)
	for id, since := range unknown {
		meeting.Go(func() error {
			switch r, err := f.bucket.GetSince(ctx, replicaKey+id, since); {
			case err == nil:
				f.replicaMet(id, r)
			case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged):
				f.mu.Lock()
				f.absent[id] = since
				f.mu.Unlock()
			case unexpected(err) && f.ctx.Err() == nil:
				f.complaints.Do(func() { f.log.Warn("another replica cannot be looked up", "replica", id, "error", err) })
			}
			return nil
		})
	}
	meeting.Wait()
}

// unknown returns whom to look up, with the revision of a slot since which they have been there.
func (f *Fleet) unknown() map[string]uint64 {
	unknown, absent := map[string]uint64{}, map[string]uint64{}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.currentLocked() { // nor is anything taken
		return nil
	}
	for _, s := range f.slots {
		for i, id := range append([]string{s.owner, s.keeper}, s.earlier...) {
			if id == "" || id == f.id || f.peers[id] != nil {
				continue
			}
			since, was := f.absent[id]
			if was {
				absent[id] = since
			}
			if !was || i == 0 && since < s.revision { // it has taken a slot since then
				unknown[id] = max(unknown[id], s.revision)
			}
		}
	}
	f.absent = absent
	return unknown
}

// abandonedLocked reports whether a slot has no holder, or one that is not there any more.
func (f *Fleet) abandonedLocked(s slot) bool {
	if p := f.peers[s.owner]; s.owner == "" || p != nil {
		return !f.aliveLocked(p)
	}
	since, absent := f.absent[s.owner]
	return absent && since >= s.revision
}

// claim is why a slot may be taken.
type claim struct {
	revision uint64 // of which that was found out
	wanted   bool   // its holder could not be asked
	hangs    bool   // and gave no sign of life then; that it was heard since does not mean that it has stopped
}

// plan returns which slots to take or to give back.
func (f *Fleet) plan() (take map[int]claim, surplus []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.currentLocked() || f.own.Draining {
		return nil, nil
	}
	var alive []string // and able to hold something
	well := false
	for id, p := range f.peers {
		if f.aliveLocked(p) && !p.Draining {
			alive = append(alive, id)
			well = well || !p.Unwell
		}
	}
	if well { // those who cannot reach the upstream leave it to the others, unless these come to that, too
		alive = slices.DeleteFunc(alive, func(id string) bool { return f.peers[id].Unwell && time.Since(f.peers[id].unwell) > f.timing.unwell })
	}
	slices.Sort(alive)
	held := f.heldLocked()
	var free []int
	take = map[int]claim{}
	for n, s := range f.slots {
		switch {
		case f.lost[n] != nil: // what goes on about it ends first
		case s.owner == f.id && f.held[n] == nil:
			// A write that seemed to fail was made, or one that gave the slot back failed. Nobody
			// else takes it, whatever this replica's share.
			take[n] = claim{revision: s.revision}
		case f.abandonedLocked(s):
			free = append(free, n)
		}
	}
	mine, share := len(f.held)+len(take), f.share(alive)
	if missing := share - mine; missing > 0 {
		for _, i := range rand.Perm(len(free))[:min(missing, len(free))] { // or all would take the same
			take[free[i]] = claim{revision: f.slots[free[i]].revision}
		}
		return take, nil
	}
	// Only where somebody is there to take it.
	short := 0
	for i, id := range alive {
		short += max(0, shareOf(i, len(alive))-held[id])
	}
	short -= len(free)
	for n := range f.held {
		if len(surplus) < min(mine-share, short) {
			surplus = append(surplus, n)
		}
	}
	return take, surplus
}

// share is how many slots this replica should hold.
func (f *Fleet) share(alive []string) int {
	i := slices.Index(alive, f.id)
	if i < 0 {
		return 0
	}
	return shareOf(i, len(alive))
}

// shareOf is how many slots the i-th of n replicas should hold.
func shareOf(i, n int) int {
	share := Slots / n
	if i < Slots%n {
		share++
	}
	return share
}

// atOnce is how many slots change hands at a time.
const atOnce = 16

// take takes slots that have these revisions, as far as nobody is quicker. What it has got it
// answers for at once: who asks in vain for long takes it for dead.
func (f *Fleet) take(claims map[int]claim) {
	for some := range slices.Chunk(slices.Collect(maps.Keys(claims)), atOnce) {
		taken := make([]Slot, len(some))
		var taking sync.WaitGroup
		for i, n := range some {
			taking.Go(func() {
				if taken[i] = f.takeOne(n, claims[n]); taken[i].Number >= 0 {
					f.answer(n)
				}
			})
		}
		taking.Wait()
		taken = slices.DeleteFunc(taken, func(s Slot) bool { return s.Number < 0 })
		if len(taken) > 0 {
			f.holder.Begin(taken)
		}
	}
}

// unexpected reports whether a write of a slot failed for a reason that is news: neither because
// somebody was quicker, nor because the store is unusable, which that says itself, once.
func unexpected(err error) bool {
	return err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnusable)
}

// takeOne returns the slot, or one with a negative number where it was not taken: somebody was quicker, its
// holder is there after all, or the write failed.
func (f *Fleet) takeOne(n int, c claim) Slot {
	none := Slot{Number: -1}
	ctx, cancel := context.WithTimeout(f.ctx, callTime)
	defer cancel()
	f.mu.Lock()
	known := f.slots[n]
	if known.owner != f.id && !c.wanted && !f.abandonedLocked(known) { // its holder was heard since then
		f.mu.Unlock()
		return none
	}
	h := &holding{before: known.keepers(f.id)}
	if c.revision != 0 {
		h.from, h.hung = f.stopsLocked(known.owner, c.hangs)
		h.from = h.from.Add(f.window)
	}
	if tried := f.tried[n]; tried != nil && known.owner == f.id {
		h.from, h.hung = later(h.from, tried.from), tried.hung
	}
	f.tried[n] = h
	f.mu.Unlock()
	value := store.JSON(slotRecord{Version: recordVersion, Owner: f.id, Keeper: f.id, Earlier: h.before})
	var revision uint64
	var err error
	if c.revision == 0 {
		revision, err = f.bucket.Create(ctx, slotKey+SlotName(n), value, 0)
	} else {
		revision, err = f.bucket.Update(ctx, slotKey+SlotName(n), value, c.revision, 0)
	}
	if err != nil {
		if unexpected(err) && f.ctx.Err() == nil {
			f.log.Warn("a slot of the fleet cannot be taken", "slot", n, "error", err)
		}
		return none
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tried, n)
	if revision < f.slots[n].revision {
		return none // it was lost already
	}
	h.since = time.Now()
	f.slots[n] = slot{f.id, f.id, h.before, revision, time.Now()}
	f.held[n] = h
	f.takenLocked(n)
	return Slot{n, known.keeper, h.from}
}

// mostKeepers is how many of those that have held a slot are remembered.
const mostKeepers = 8

// keepers is who but one has held a slot until now, the last one first: its keeper, and those from whom
// it went so shortly before that something of theirs may be under way.
func (s slot) keepers(but string) (keepers []string) {
	all := []string{s.keeper}
	if s.owner == "" || time.Since(s.since) <= underWay {
		all = append(all, s.earlier...)
	}
	for _, id := range all {
		if id != "" && id != but && !slices.Contains(keepers, id) && len(keepers) < mostKeepers {
			keepers = append(keepers, id)
		}
	}
	return keepers
}

// stopsLocked is when a holder has surely stopped: at once if it has handed the slot back or has no
// connection to the store any more, else, if it hangs, when it knows that it is not heard.
func (f *Fleet) stopsLocked(owner string, hangs bool) (at time.Time, hung string) {
	now := time.Now()
	if p := f.peers[owner]; p != nil && hangs && owner != f.id {
		return later(now, f.actsUntilLocked(p)), owner
	}
	return now, ""
}

// actsUntilLocked is how long a replica acts as the holder of what it holds, if it is not heard again.
func (f *Fleet) actsUntilLocked(p *peer) time.Time {
	return later(p.heard, f.begun).Add(f.timing.fenced)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// release hands slots back, once nothing goes on about their sessions.
func (f *Fleet) release(ctx context.Context, surplus []int) {
	if len(surplus) == 0 {
		return
	}
	var left []int
	released := map[int]slot{}
	f.mu.Lock()
	for _, n := range surplus {
		if h := f.held[n]; h != nil {
			h.stopAnswering()
			delete(f.held, n)
			left, released[n] = append(left, n), f.slots[n]
		}
	}
	f.mu.Unlock()
	f.holder.End(left)
	var releasing errgroup.Group
	releasing.SetLimit(atOnce)
	for _, n := range left {
		releasing.Go(func() error {
			record := slotRecord{Version: recordVersion, Keeper: f.id, Earlier: released[n].keepers(f.id)}
			_, err := f.bucket.Update(ctx, slotKey+SlotName(n), store.JSON(record), released[n].revision, 0)
			if unexpected(err) {
				f.log.Warn("a slot of the fleet cannot be handed over, others take it after a while", "slot", n, "error", err)
			}
			return nil
		})
	}
	releasing.Wait()
}
