package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"pollbridge/fleet"
	"pollbridge/internal/period"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a store and the replicas that share it.
type lab struct {
	t       *testing.T
	store   *teststore.Store
	patient bool // with one that is not heard

	mu      sync.Mutex
	holders [fleet.Slots]string               // guarded by mu; who holds a slot, as the replicas were told
	after   [fleet.Slots]map[string]time.Time // guarded by mu; from when on who holds it, or did, was to poll
	made    int
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := teststore.Open(testkit.Within(t), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return &lab{t: t, store: s}
}

// replica is one of them. It answers who it is.
type replica struct {
	*fleet.Fleet
	l    *lab
	id   string
	dead bool // guarded by the lab's mutex
}

func (l *lab) start() *replica {
	l.t.Helper()
	l.mu.Lock()
	l.made++
	id := fmt.Sprintf("r%d", l.made)
	l.mu.Unlock()
	o := fleet.Options{Store: l.store.Store, Log: slog.New(slog.DiscardHandler), Replica: fleet.Replica{ID: id, Name: id, Started: time.Now()}, Window: time.Millisecond}
	if o = o.Quick(); l.patient {
		o = o.Patient()
	}
	f, err := fleet.Open(testkit.Within(l.t), o)
	testkit.NoError(l.t, err)
	r := &replica{Fleet: f, l: l, id: id}
	f.Answer("who", func(_ context.Context, question []byte) []byte { return append([]byte(id+" "), question...) })
	f.Hear("before", func(context.Context, []byte) []byte { return []byte(id) })
	testkit.NoError(l.t, f.Start(r))
	l.t.Cleanup(func() { r.end() })
	return r
}

// end hands over and ends, unless the replica has ended already.
func (r *replica) end() {
	r.l.mu.Lock()
	dead := r.dead
	r.dead = true
	r.l.mu.Unlock()
	if !dead {
		testkit.NoError(r.l.t, r.HandOver(testkit.Within(r.l.t)))
		testkit.NoError(r.l.t, r.Close(testkit.Within(r.l.t)))
	}
}

func (r *replica) kill() {
	r.Fleet.Kill()
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	r.dead = true
	for n := range r.l.holders {
		if r.l.holders[n] == r.id {
			r.l.holders[n] = ""
		}
	}
}

func (r *replica) Begin(slots []fleet.Slot) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, s := range slots {
		n := s.Number
		if holder := r.l.holders[n]; holder != "" && time.Until(s.After) < time.Minute { // else it may act until then
			r.l.t.Errorf("slot %d: %s holds it, and %s does", n, holder, r.id)
		}
		r.l.holders[n] = r.id
		if r.l.after[n] == nil {
			r.l.after[n] = map[string]time.Time{}
		}
		r.l.after[n][r.id] = s.After
	}
}

func (r *replica) End(slots []int) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, n := range slots {
		if r.l.holders[n] == r.id {
			r.l.holders[n] = ""
		}
	}
}

// shares waits until the replicas hold so many slots each.
func (l *lab) shares(want map[*replica]int) {
	l.t.Helper()
	var held map[string]int
	testkit.Eventually(l.t, fmt.Sprint("each has its share: ", len(want)), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		held = map[string]int{}
		for _, id := range l.holders {
			held[id]++
		}
		for r, n := range want {
			if held[r.id] != n {
				return false
			}
		}
		return true
	})
}

// two starts two replicas, which have their shares.
func (l *lab) two() (a, b *replica) {
	l.t.Helper()
	a = l.start()
	l.shares(map[*replica]int{a: 256})
	b = l.start()
	l.shares(map[*replica]int{a: 128, b: 128})
	return a, b
}

// TestShares: who comes gets its share, and what somebody had who goes, the others get.
func TestShares(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, b := l.two()
	c := l.start()
	l.shares(map[*replica]int{a: 86, b: 85, c: 85})
	c.kill()
	l.shares(map[*replica]int{a: 128, b: 128})
	d := l.start()
	l.shares(map[*replica]int{a: 86, b: 85, d: 85})
	a.end()
	l.shares(map[*replica]int{b: 128, d: 128})
	testkit.Eventually(t, "the one that has ended is not there any more", func() bool { return len(b.Replicas()) == 2 })
	if replicas := b.Replicas(); replicas[0].ID != b.id || replicas[1].ID != d.id || replicas[0].Slots != 128 || replicas[0].Format != store.Format {
		t.Errorf("Replicas = %v", replicas)
	}
}

// TestAsk: the holder answers, and where it has gone, whoever asks takes its place.
func TestAsk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, b := l.two()
	own, others := b.some(), a.some()
	if _, err := b.Ask(testkit.Within(t), own, "who", nil); !errors.Is(err, fleet.ErrHere) {
		t.Errorf("Ask of what is here = %v", err)
	}
	if answer, err := b.Ask(testkit.Within(t), others, "who", []byte("?")); err != nil || string(answer) != a.id+" ?" {
		t.Errorf("Ask = %q, %v", answer, err)
	}
	a.kill()
	if _, err := b.Ask(testkit.Within(t), others, "who", nil); !errors.Is(err, fleet.ErrHere) {
		t.Errorf("Ask after the death of the holder = %v", err)
	}
	b.hasTaken(others)
	l.shares(map[*replica]int{b: 256})
}

// some is a session that the replica holds.
func (r *replica) some() string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("ses_%d", i); r.Holds(id) {
			return id
		}
	}
}

// hasTaken waits until the replica has begun to look after a session, be it that it has handed it back since,
// and returns from when on it was to poll.
func (r *replica) hasTaken(session string) (after time.Time) {
	r.l.t.Helper()
	testkit.Eventually(r.l.t, "it is taken", func() (taken bool) {
		r.l.mu.Lock()
		defer r.l.mu.Unlock()
		after, taken = r.l.after[fleet.SlotOf(session)][r.id]
		return taken
	})
	return after
}

// replaced has f answer for a session that the replica holds, in its place.
func (r *replica) replaced(f func(ctx context.Context, subject string, question []byte) []byte) (session string) {
	r.l.t.Helper()
	session = r.some()
	r.Mute(session)
	answering, err := r.l.store.Answer("slot."+fleet.SlotName(fleet.SlotOf(session))+".who", f)
	testkit.NoError(r.l.t, err)
	r.l.t.Cleanup(answering.Stop)
	return session
}

// silent hears what holders are asked, and gives no sign of life.
func (l *lab) silent() *nats.Subscription {
	l.t.Helper()
	asked, err := l.store.Engine.Conn().SubscribeSync("ask.slot.*.who")
	testkit.NoError(l.t, err)
	testkit.NoError(l.t, l.store.Engine.Conn().Flush())
	return asked
}

// TestAskOneThatFallsSilentAndGoes: whoever was silent once, and has gone when it is asked again, is
// waited for no longer than one that has gone.
func TestAskOneThatFallsSilentAndGoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.patient = true
	a, b := l.two()
	session := a.some()
	a.kill()
	testkit.NoError(t, l.silent().AutoUnsubscribe(1))
	if _, err := b.Ask(testkit.Within(t), session, "who", nil); !errors.Is(err, fleet.ErrHere) {
		t.Errorf("Ask = %v", err)
	}
	b.hasTaken(session)
	testkit.NoError(t, b.Ready(testkit.Within(t), session))
}

// TestTakenFromOneThatHangs: of one that hangs since before this replica began, it is not known when it
// was heard last, but that this was before.
func TestTakenFromOneThatHangs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.start()
	l.shares(map[*replica]int{a: 256})
	session := a.some()
	a.kill()
	killed := time.Now()
	l.silent()
	b := l.start()
	if _, err := b.Ask(testkit.Within(t), session, "who", nil); !errors.Is(err, fleet.ErrHere) {
		t.Errorf("Ask = %v", err)
	}
	testkit.NoError(t, b.Ready(testkit.Within(t), session))
	if after := time.Since(killed); after < fleet.QuickFenced {
		t.Errorf("its sessions may be polled %v after it was last heard; it may act for %v", after, fleet.QuickFenced)
	}
}

// TestTakenFromOneThatWasSlow: it hears that it holds the slot no more, and says so. Then nobody waits
// until it would have stopped by itself.
func TestTakenFromOneThatWasSlow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.patient = true
	a, b := l.two()
	session := a.some()
	l.silent()
	a.Mute(session)
	if _, err := b.Ask(testkit.Within(t), session, "who", nil); !errors.Is(err, fleet.ErrHere) {
		t.Fatalf("Ask = %v", err)
	}
	b.hasTaken(session)
	testkit.NoError(t, b.Ready(testkit.Within(t), session))
	if a.Holds(session) && b.Holds(session) { // b has one too many, and may have handed it back
		t.Error("its sessions may be polled while the one before looks after them")
	}
}

// TestTakenFromOneThatWasSlowAndBeats: that it says that it is there while its slots are taken does not
// mean that it has stopped.
func TestTakenFromOneThatWasSlowAndBeats(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.patient = true
	a, b := l.two()
	l.silent()
	var asking sync.WaitGroup
	var sessions []string
	slots := map[int]bool{}
	for i := 0; len(slots) < fleet.Slots/2; i++ {
		id := fmt.Sprintf("ses_%d", i)
		if n := fleet.SlotOf(id); a.Holds(id) && !slots[n] {
			slots[n] = true
			sessions = append(sessions, id)
			a.Mute(id)
		}
	}
	stop := l.beat(a.id)
	for _, id := range sessions {
		asking.Go(func() {
			if _, err := b.Ask(testkit.Within(t), id, "who", nil); !errors.Is(err, fleet.ErrHere) {
				t.Errorf("Ask = %v", err)
			}
		})
	}
	asking.Wait()
	stop()
}

// TestTakenThoughTheWriteSeemedToFail: it is not forgotten that the one before hangs, and may act.
func TestTakenThoughTheWriteSeemedToFail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.patient = true
	a, b := l.two()
	session := a.some()
	b.TakeInVain(session)
	bucket, err := l.store.Bucket(testkit.Within(t), store.BucketConfig{Name: "fleet"})
	testkit.NoError(t, err)
	_, err = bucket.Put(testkit.Within(t), "slot."+fleet.SlotName(fleet.SlotOf(session)), store.JSON(map[string]any{"v": 1, "owner": b.id, "keeper": b.id, "earlier": []string{a.id}}), 0)
	testkit.NoError(t, err)
	if left := time.Until(b.hasTaken(session)); left < time.Minute {
		t.Errorf("its sessions may be polled in %v, while the one before may look after them", left)
	}
}

// beat has a replica say again and again that it is there, with hardly a pause.
func (l *lab) beat(id string) (stop func()) {
	l.t.Helper()
	bucket, err := l.store.Bucket(testkit.Within(l.t), store.BucketConfig{Name: "fleet"})
	testkit.NoError(l.t, err)
	ctx, cancel := context.WithCancel(testkit.Within(l.t))
	record := store.JSON(map[string]any{"v": 1, "id": id, "name": id})
	_, err = bucket.Put(ctx, "replica."+id, record, time.Minute)
	testkit.NoError(l.t, err)
	var beating sync.WaitGroup
	beating.Go(func() {
		for period.Pause(ctx, time.Millisecond) == nil {
			if _, err := bucket.Put(ctx, "replica."+id, record, time.Minute); err != nil && ctx.Err() == nil {
				l.t.Error(err)
			}
		}
	})
	stop = func() { cancel(); beating.Wait() }
	l.t.Cleanup(stop)
	return stop
}

// TestHolderThatBeatsWhileAnotherBegins keeps what it holds, though the one that begins may be told of its
// slots before it is told of the replica.
func TestHolderThatBeatsWhileAnotherBegins(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bucket, err := l.store.Bucket(testkit.Within(t), store.BucketConfig{Name: "fleet"})
	testkit.NoError(t, err)
	stop := l.beat("other")
	for n := range l.holders {
		l.holders[n] = "other"
		_, err := bucket.Create(testkit.Within(t), "slot."+fleet.SlotName(n), store.JSON(map[string]any{"v": 1, "owner": "other", "keeper": "other"}), 0)
		testkit.NoError(t, err)
	}
	for range 10 {
		r := l.start()
		testkit.Eventually(t, "it is one of two", func() bool { return r.Current() && len(r.Replicas()) == 2 })
		r.end()
	}
	stop()
}

// TestAskWhereNobodyIsTheHolder: nobody is waited for without end, however slow the way is.
func TestAskWhereNobodyIsTheHolder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, b := l.two()
	var asked atomic.Int32
	session := a.replaced(func(context.Context, string, []byte) []byte {
		asked.Add(1)
		time.Sleep(200 * time.Millisecond) // as on a slow way
		return []byte{1}                   // it is looked after elsewhere
	})
	if _, err := b.Ask(testkit.Within(t), session, "who", nil); !errors.Is(err, fleet.ErrCutOff) {
		t.Errorf("Ask = %v", err)
	}
	if n := asked.Load(); n > 50 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestAskWhileItIsTaken: whoever becomes the holder waits for no other one any more. It may be the one
// that is asked.
func TestAskWhileItIsTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, b := l.two()
	asked := make(chan struct{})
	first := sync.OnceFunc(func() { close(asked) })
	session := a.replaced(func(ctx context.Context, _ string, _ []byte) []byte {
		first()
		<-ctx.Done()
		return nil
	})
	failed := make(chan error)
	go func() {
		_, err := b.Ask(testkit.Within(t), session, "who", nil)
		failed <- err
	}()
	testkit.Receive(t, "it is asked", asked)
	a.kill()
	if err := testkit.Receive(t, "it waits no more", failed); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("Ask = %v", err)
	}
}

// TestAskOneThatWasBusy: what is under way where a session was before is not missed because nothing was
// heard from there for a moment.
func TestAskOneThatWasBusy(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.patient = true
	a, b := l.two()
	session := a.some()
	asked := make(chan struct{}, 10)
	_, err := l.store.Engine.Conn().Subscribe("ask.replica."+a.id+".before", func(*nats.Msg) { asked <- struct{}{} })
	testkit.NoError(t, err)
	testkit.NoError(t, a.HandOver(testkit.Within(t)))
	testkit.Eventually(t, "the other one looks after the session", func() bool { return b.Holds(session) })
	over := a.Busy()
	said := make(chan string)
	go func() {
		answer, err := b.AskBefore(testkit.Within(t), session, "before", nil)
		if err != nil {
			t.Errorf("AskBefore = %v", err)
		}
		said <- string(answer)
	}()
	for range 2 {
		testkit.Receive(t, "it is asked", asked)
	}
	testkit.NoError(t, over())
	if answer := testkit.Receive(t, "it answers", said); answer != a.id {
		t.Errorf("AskBefore = %q", answer)
	}
}

// TestHandOver: whoever asks while slots change hands is answered by the one or the other.
func TestHandOver(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.start()
	l.shares(map[*replica]int{a: 256})
	var asking sync.WaitGroup
	stop := make(chan struct{})
	b := l.start()
	for worker := range 4 {
		asking.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := b.Ask(testkit.Within(t), fmt.Sprintf("ses_%d_%d", worker, i), "who", nil)
				if err != nil && !errors.Is(err, fleet.ErrHere) {
					t.Errorf("Ask = %q, %v", answer, err)
				}
			}
		})
	}
	for range 3 {
		c := l.start()
		l.shares(map[*replica]int{a: 86, b: 85, c: 85})
		c.end()
		l.shares(map[*replica]int{a: 128, b: 128})
	}
	close(stop)
	asking.Wait()
}

// TestUnwell: who cannot reach the upstream leaves sessions to those who can, if there are any.
func TestUnwell(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, b := l.two()
	b.SetUnwell(true)
	l.shares(map[*replica]int{a: 256, b: 0})
	a.SetUnwell(true)
	l.shares(map[*replica]int{a: 128, b: 128})
	b.SetUnwell(false)
	l.shares(map[*replica]int{a: 0, b: 256})
}

// TestFencedWithoutStore: who does not know that it is heard does not act as a holder.
func TestFencedWithoutStore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a := l.start()
	l.shares(map[*replica]int{a: 256})
	if !a.Holds("ses_1") {
		t.Fatal("it does not hold what is its own")
	}
	l.store.Engine.Report(errors.New("trouble"))
	testkit.Eventually(t, "it is fenced, or the store is back", func() bool { return !a.Holds("ses_1") || l.store.Err() == nil })
	testkit.Eventually(t, "it holds again", func() bool { return a.Holds("ses_1") })
}

// TestSlots: sessions are spread over all of them.
func TestSlots(t *testing.T) {
	t.Parallel()
	counts := make([]int, fleet.Slots)
	for i := range 100 * fleet.Slots {
		counts[fleet.SlotOf(fmt.Sprintf("ses_%026d", i))]++
	}
	if least, most := slices.Min(counts), slices.Max(counts); least < 50 || most > 200 {
		t.Errorf("between %d and %d of 100", least, most)
	}
}

// TestKeysThatOthersLack: a replica that would encrypt with a key that another one lacks does not begin.
func TestKeysThatOthersLack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	open := func(id string, keys ...string) (*fleet.Fleet, error) {
		return fleet.Open(testkit.Within(t), fleet.Options{
			Store: l.store.Store, Log: slog.New(slog.DiscardHandler), Replica: fleet.Replica{ID: id, Name: "name of " + id, Started: time.Now(), StoreKeys: keys}, Window: time.Millisecond,
		}.Quick())
	}
	begin := func(id string, keys ...string) *fleet.Fleet {
		t.Helper()
		f := testkit.Must(open(id, keys...))(t)
		testkit.NoError(t, f.Start(&replica{Fleet: f, l: l, id: id}))
		return f
	}
	end := func(f *fleet.Fleet) {
		t.Helper()
		testkit.NoError(t, f.HandOver(testkit.Within(t)))
		testkit.NoError(t, f.Close(testkit.Within(t)))
	}
	a := begin("a", "old")
	earlier := begin("earlier")
	_, err := open("b", "new", "old")
	if lacking, ok := errors.AsType[*fleet.KeyError](err); !ok || !slices.Equal(lacking.Replicas, []string{"name of a"}) {
		t.Errorf("Open with a key that another one lacks = %v", err)
	}
	b := begin("b", "old", "new")
	end(a)
	end(begin("a", "new", "old"))
	end(b)
	end(earlier)
}
