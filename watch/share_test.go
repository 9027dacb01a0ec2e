package watch_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// share is a part of a fleet with two slots.
type share struct {
	mu      sync.Mutex
	replica string // guarded by mu, as all below
	owned   map[int]bool
	fenced  bool
	cutOff  bool
}

func (s *share) Current() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cutOff
}

func (s *share) cut(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutOff = off
}

func (s *share) Replica() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replica
}

func (s *share) Slot(id string) int { return int(id[len(id)-1]) % 2 }

func (s *share) Holds(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned[s.Slot(id)] && !s.fenced
}

func (s *share) Owns(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned[s.Slot(id)]
}

func (s *share) set(slot int, owned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owned[slot] = owned
}

func (s *share) fence(fenced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fenced = fenced
}

// handed is what whoever looks after a session now has to know.
type handed struct {
	token string
	o     *session.Observation
	at    time.Time
}

func (l *lab) handOn(v *session.Variant, o *session.Observation, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed = append(l.handed, handed{v.Token, o, at})
}

func (l *lab) handedOn() []handed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handed
}

// newShared is a lab of a replica that has both slots, and nobody had them before.
func newShared(t *testing.T, changes ...func(*lab)) *lab {
	l := newLab(t, append(changes, func(l *lab) { l.share = &share{replica: "a", owned: map[int]bool{}} })...)
	l.begin(watch.Slot{Number: 0}, watch.Slot{Number: 1})
	testkit.Eventually(t, "both to be taken up", l.w.Settled)
	return l
}

func (l *lab) begin(slots ...watch.Slot) {
	for _, s := range slots {
		l.share.set(s.Number, true)
	}
	l.w.Begin(slots)
}

func (l *lab) end(slot int) {
	l.share.set(slot, false)
	l.w.End([]int{slot})
}

// next replica has the store of the one before, and no slots.
func (l *lab) nextReplica(name string) {
	l.t.Helper()
	l.close()
	l.share = &share{replica: name, owned: map[int]bool{}}
	l.open()
}

// in is a token whose session is in a slot.
func (l *lab) in(slot int, name string) string {
	for i := 0; ; i++ {
		token := fmt.Sprint(name, i)
		if l.share.Slot(l.id(token)) == slot {
			return token
		}
	}
}

// TestTakenUpBySlot: the watches of those slots that are this replica's, and no others.
func TestTakenUpBySlot(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	tokens := []string{l.in(0, "a"), l.in(1, "b")}
	for _, token := range tokens {
		l.say(token, session.Pending)
		l.watch(token)
		l.next(event.TypePending)
	}
	l.nextReplica("b")
	asked := l.questions(tokens[0])
	l.begin(watch.Slot{Number: 1, From: "a"})
	l.awaitQuestions(tokens[1], 3)
	if n := l.w.Live(); n != 1 || l.questions(tokens[0]) != asked {
		t.Errorf("%d are watched, the other one was asked for %d times", n, l.questions(tokens[0])-asked)
	}
	l.begin(watch.Slot{Number: 0, From: "a"})
	l.awaitQuestions(tokens[0], 1)
	l.quiet()
}

// TestNothingIsPolledBefore whoever looked after it has surely stopped.
func TestNothingIsPolledBefore(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	later, now := l.in(0, "a"), l.in(1, "b")
	l.watch(later)
	l.watch(now)
	l.nextReplica("b")
	after := time.Now().Add(time.Hour)
	l.begin(watch.Slot{Number: 0, From: "a", After: after}, watch.Slot{Number: 1, From: "a"})
	l.awaitQuestions(now, 1)
	testkit.Eventually(t, "both to be taken up", func() bool { return l.w.Live() == 2 })
	if due, watched := l.w.Due(l.id(later)); !watched || due.Before(after) {
		t.Errorf("due at %v, want it after %v", due, after)
	}
}

// TestEndStoresEverything of a slot, and leaves the others alone.
func TestEndStoresEverything(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	l.events.want(true)
	left, kept := l.in(0, "left"), l.in(1, "kept")
	l.say(kept, session.Pending)
	l.watch(kept)
	l.next(event.TypePending)
	l.fail(left)
	seen := waiting(time.Now(), "seen")
	l.w.Observe(l.variant(left), seen)
	l.next(event.TypePending)
	ended := l.in(0, "ended")
	l.w.Observe(l.variant(ended), observation(session.Succeeded))
	l.next(event.TypeSucceeded)
	l.end(0)
	if n := l.w.Live(); n != 1 {
		t.Errorf("%d are live, want the one of the other slot", n)
	}
	if s, err := l.w.Get(t.Context(), l.id(ended)); err != nil || s.Status() != "succeeded" {
		t.Errorf("the one that has ended is %+v, %v", s, err)
	}
	if all := l.handedOn(); len(all) != 0 {
		t.Errorf("%v were handed on though all is stored", all)
	}
	l.awaitQuestions(kept, 2)
	l.begin(watch.Slot{Number: 0, From: "a"})
	l.awaitQuestions(left, 1)
	l.wantPending(left, seen)
	l.quiet()
}

// TestWhatEndCannotStore is handed on.
func TestWhatEndCannotStore(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	token := l.in(0, "a")
	l.watch(token)
	l.events.failWith(errors.New("the store is cut off"))
	o := observation(session.Succeeded)
	l.w.Observe(l.variant(token), o)
	l.end(0)
	if all := l.handedOn(); len(all) != 1 || all[0].token != token || all[0].o == nil || all[0].o.State != session.Succeeded || !all[0].o.At.Equal(o.At) {
		t.Errorf("handed on: %+v, want the final answer", all)
	}
	if n := l.w.Live(); n != 0 {
		t.Errorf("%d are live", n)
	}
}

// TestWhatEntersAfterEnd goes, and whoever looks after the session knows.
func TestWhatEntersAfterEnd(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	l.events.want(true)
	l.end(0)
	seen, started, registered := l.in(0, "seen"), l.in(0, "started"), l.in(0, "registered")
	l.w.Observe(l.variant(seen), observation(session.Pending))
	testkit.NoError(t, l.w.Started(t.Context(), l.variant(started)))
	l.watch(registered)
	testkit.Eventually(t, "all to go", func() bool { return l.w.Live() == 0 })
	got := map[string]bool{}
	for _, each := range l.handedOn() {
		got[each.token] = each.o != nil && each.o.State == session.Pending
	}
	if n := l.watched(); n != 3 || len(got) != 3 || !got[seen] || got[started] || got[registered] {
		t.Errorf("%d are stored, handed on: %v", n, got)
	}
	if asked := l.questions(seen) + l.questions(started) + l.questions(registered); asked != 0 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

// TestFenced: a replica that does not know whether it still looks after a session keeps it, and asks
// nothing.
func TestFenced(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	token := l.in(0, "a")
	l.say(token, session.Pending)
	l.watch(token)
	l.next(event.TypePending)
	l.share.fence(true)
	due := func() time.Time {
		at, watched := l.w.Due(l.id(token))
		if !watched {
			t.Fatal("it is not watched any more")
		}
		return at
	}
	testkit.Eventually(t, "a poll under way to end", func() bool {
		asked, before := l.questions(token), due()
		testkit.Eventually(t, "it to be put off", func() bool { return due().After(before) })
		return l.questions(token) == asked
	})
	l.share.fence(false)
	l.awaitQuestions(token, 1)
	if all := l.handedOn(); len(all) != 0 {
		t.Errorf("%v were handed on", all)
	}
}

// TestLeftWhileTakenUp: of a slot that is lost in that moment nothing is watched.
func TestLeftWhileTakenUp(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	var kept string
	for i := range 20 {
		l.watch(l.in(0, fmt.Sprint("left", i)))
		kept = l.in(1, fmt.Sprint("kept", i))
		l.watch(kept)
	}
	l.nextReplica("b")
	for range 10 {
		l.begin(watch.Slot{Number: 0, From: "a"}, watch.Slot{Number: 1, From: "a"})
		l.end(0)
		testkit.Eventually(t, "the other slot to be taken up", l.w.Settled)
		if n := l.w.Live(); n != 20 {
			t.Fatalf("%d are live, want those of the other slot", n)
		}
		l.end(1)
	}
	if n := l.w.Live(); n != 0 {
		t.Errorf("%d are live", n)
	}
}

// askedFor is how many events the next replica asks for when it takes up the watches of slots, of
// which each has one.
func (l *lab) askedFor(name string, slots ...watch.Slot) (calls int) {
	l.t.Helper()
	l.nextReplica(name)
	before := l.events.called()
	l.begin(slots...)
	testkit.Eventually(l.t, "all to be taken up", func() bool { return l.w.Live() == len(slots) && l.w.Settled() })
	return l.events.called() - before
}

// TestMarksOfFirstSights are used by whoever looks after the slot next, and by nobody else.
func TestMarksOfFirstSights(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	for slot := range 2 {
		token := l.in(slot, "t")
		l.fail(token)
		l.w.Observe(l.variant(token), waiting(time.Now(), "{}"))
		l.next(event.TypePending)
	}
	if n := l.askedFor("b", watch.Slot{Number: 0, From: "a"}, watch.Slot{Number: 1, From: "a"}); n != 0 {
		t.Errorf("%d events were asked for that are noted; want none", n)
	}
	if n := l.askedFor("c", watch.Slot{Number: 0, From: "nobody"}, watch.Slot{Number: 1, From: "b"}); n != 1 {
		t.Errorf("%d events were asked for; want the one of the slot of which nothing is noted", n)
	}
	if n := l.askedFor("d", watch.Slot{Number: 1}); n != 1 {
		t.Errorf("%d events were asked for; want the one of a slot that nobody had", n)
	}
	if n := l.askedFor("e", watch.Slot{Number: 0, From: "d"}, watch.Slot{Number: 1, From: "d"}); n != 1 {
		t.Errorf("%d events were asked for; want the one of the slot that the replica before had not", n)
	}
	l.quiet()
}

// isIn reports whether a goroutine is in all of these functions.
func isIn(functions ...string) bool {
	stacks := make([]byte, 16<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !slices.ContainsFunc(functions, func(f string) bool { return !strings.Contains(stack, f) }) {
			return true
		}
	}
	return false
}

// TestErasedWhileItMoves: who looks after the session now erases it.
func TestErasedWhileItMoves(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	token := l.in(0, "a")
	id := l.watch(token).ID
	ended := make(chan struct{})
	var once sync.Once
	l.erasing = func() {
		once.Do(func() {
			l.share.set(0, false)
			go func() { defer close(ended); l.w.End([]int{0}) }()
			testkit.Eventually(t, "End to wait", func() bool {
				select {
				case <-ended:
					t.Error("End has returned while the session was being erased")
					return true
				default:
					return isIn("(*Watcher).letGo", "(*Watcher).await")
				}
			})
		})
	}
	if err := l.w.Delete(t.Context(), id); err == nil || errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Delete = %v; want an error", err)
	}
	<-ended
	if n := l.watched(); n != 1 || l.w.Live() != 0 {
		t.Errorf("%d are stored, %d live; want the record to be left", n, l.w.Live())
	}
	l.begin(watch.Slot{Number: 0, From: "a"})
	testkit.NoError(t, l.w.Delete(t.Context(), id))
	if n := l.watched(); n != 0 || l.w.Live() != 0 {
		t.Errorf("%d are stored, %d live after it was erased", n, l.w.Live())
	}
}

// TestErasedByTheReplicaBefore: the record that was taken up has gone, and does not come back.
func TestErasedByTheReplicaBefore(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	token := l.in(0, "a")
	l.fail(token)
	id := l.watch(token).ID
	testkit.NoError(t, l.w.Forget(t.Context(), id))
	l.w.Observe(l.variant(token), waiting(time.Now(), "{}"))
	testkit.Eventually(t, "the end of the watch", func() bool { return l.w.Live() == 0 })
	if n := l.watched(); n != 0 {
		t.Errorf("%d are stored", n)
	}
}

// TestRecentEndsOfOneSlot: those of others are not looked at.
func TestRecentEndsOfOneSlot(t *testing.T) {
	t.Parallel()
	l := newShared(t)
	l.events.want(true)
	other, own := l.in(0, "a"), l.in(1, "b")
	l.nextReplica("b")
	l.finals.keep(l.variant(other), session.Refused)
	l.finals.keep(l.variant(own), session.Succeeded)
	l.begin(watch.Slot{Number: 1, From: "a"})
	if c := l.next(event.TypeSucceeded); c.Token != own {
		t.Errorf("%s was told of", c.Token)
	}
	l.awaitEnd(l.id(own), "succeeded")
	l.quiet()
	if _, err := l.w.Get(t.Context(), l.id(other)); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
}

// TestLateEnds: a poll was under way where the session was looked after before, and its answer was stored
// after the watches were taken up. Nobody was told of it, be it that the process was killed.
func TestLateEnds(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	late, erased, lost := l.in(0, "a"), l.in(0, "b"), l.in(1, "c")
	l.nextReplica("b")
	stored := make(chan struct{})
	l.w.LateEnds(func() { <-stored })
	l.begin(watch.Slot{Number: 0, From: "a"}, watch.Slot{Number: 1, From: "a"})
	testkit.Eventually(t, "both to be taken up", l.w.Settled)
	l.end(1)
	testkit.NoError(t, l.w.Delete(t.Context(), l.watch(erased).ID))
	for _, token := range []string{late, erased, lost} {
		l.finals.keep(l.variant(token), session.Succeeded)
	}
	close(stored)
	if c := l.next(event.TypeSucceeded); c.Token != late {
		t.Errorf("%s was told of", c.Token)
	}
	l.awaitEnd(l.id(late), "succeeded")
	testkit.Eventually(t, "nothing is taken up any more", l.w.AllTakenUp)
	l.quiet()
}

// TestErasedElsewhere: what was seen before somebody else erased a session, and could not be stored,
// never is.
func TestErasedElsewhere(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	token, left := l.in(0, "a"), l.in(0, "left")
	id := l.watch(token).ID
	l.watch(left)
	l.share.cut(true)
	o := observation(session.Succeeded)
	l.w.Observe(l.variant(token), o)
	l.w.Observe(l.variant(left), o)
	testkit.NoError(t, l.w.Forget(t.Context(), id))
	l.w.Erased(id)
	l.end(0)
	if all := l.handedOn(); len(all) != 1 || all[0].token != left || !all[0].at.Equal(o.At) {
		t.Errorf("handed on: %+v; want the one that was not erased", all)
	}
	l.share.cut(false)
	if n := l.watched(); n != 1 || l.w.Live() != 0 {
		t.Errorf("%d are stored, %d live", n, l.w.Live())
	}
	l.quiet()
}

// TestWhatWasSeenWhileCutOff is stored once it is known what others have done.
func TestWhatWasSeenWhileCutOff(t *testing.T) {
	t.Parallel()
	l := newShared(t, func(l *lab) { l.cfg.Interval = time.Hour })
	token := l.in(0, "a")
	l.watch(token)
	l.share.cut(true)
	l.w.Observe(l.variant(token), observation(session.Succeeded))
	l.quiet()
	l.share.cut(false)
	l.next(event.TypeSucceeded)
}
