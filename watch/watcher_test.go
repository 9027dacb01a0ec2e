package watch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

func TestASessionIsWatchedUntilItEnds(t *testing.T) {
	t.Parallel()
	for _, end := range []session.State{session.Succeeded, session.Refused, session.Expired, session.Failed} {
		l := newLab(t)
		l.say("tok", session.Pending)
		s := l.watch("tok")
		if !strings.HasPrefix(s.ID, "ses_") || s.Endpoint != "smartid-sign" || s.Locale != "en" || s.Token != "tok" || s.End != watch.Watching {
			t.Errorf("Watch = %+v", s)
		}
		c := l.next(event.TypePending)
		if c.Session != s.ID || c.Account != s.Account || c.Endpoint != "smartid-sign" || c.Locale != "en" || c.Token != "tok" || c.State != session.Pending || c.Observation == nil {
			t.Errorf("the change is %+v", c)
		}
		l.awaitQuestions("tok", 3)
		testkit.Eventually(t, "pending to be known", func() bool { s, err := l.w.Get(t.Context(), s.ID); return err == nil && s.Status() == "pending" })
		l.quiet()
		l.say("tok", end)
		if c := l.next("session." + end.String()); c.State != end || c.Observation.State != end {
			t.Errorf("the change is %+v", c)
		}
		l.awaitEnd(s.ID, end.String())
		asked := l.questions("tok")
		again, err := l.w.Watch(t.Context(), l.variant("tok"))
		if err != nil || again.End != watch.Final || l.w.Live() != 0 {
			t.Errorf("watched again: %+v, %v, %d live", again, err, l.w.Live())
		}
		if l.questions("tok") != asked {
			t.Error("the upstream was asked after the end")
		}
		l.quiet()
	}
}

// TestRestart: watches go on where they were, and nothing is told twice.
func TestRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("a", session.Pending)
	l.say("b", session.NotFound)
	a, b := l.watch("a"), l.watch("b")
	l.next(event.TypePending)
	l.awaitQuestions("b", 2)
	for range 2 {
		l.restart()
		l.awaitQuestions("a", 2)
		l.awaitQuestions("b", 2)
		l.quiet()
	}
	if n := l.w.Live(); n != 2 {
		t.Errorf("%d sessions are watched, want 2", n)
	}
	got, err := l.w.Get(t.Context(), a.ID)
	if err != nil || !got.Created.Equal(a.Created) || got.Status() != "pending" {
		t.Errorf("Get = %+v, %v; want it as it was, %+v", got, err, a)
	}
	l.say("a", session.Succeeded)
	l.next(event.TypeSucceeded)
	l.say("b", session.Refused)
	l.next(event.TypeRefused)
	l.awaitEnd(a.ID, "succeeded")
	l.awaitEnd(b.ID, "refused")
	l.restart()
	l.awaitEnd(a.ID, "succeeded")
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Deadline = 200 * time.Millisecond })
	l.say("tok", session.Pending)
	l.fail("down")
	s := l.watch("tok")
	l.next(event.TypePending)
	c := l.next(event.TypeAbandoned)
	if c.State != session.Pending || c.Observation == nil || c.At.Sub(s.Created) < l.cfg.Deadline {
		t.Errorf("abandoned %v after it was first seen: %+v", c.At.Sub(s.Created), c)
	}
	l.awaitEnd(s.ID, "abandoned")
	down := l.watch("down")
	if c := l.next(event.TypeAbandoned); c.Observation != nil {
		t.Errorf("abandoned without an answer: %+v", c)
	}
	l.awaitEnd(down.ID, "abandoned")

	// Asking for it again is no reason to watch it, registering it is.
	l.events.want(true)
	l.w.Observe(l.variant("tok"), observation(session.Pending))
	l.quiet()
	if l.w.Live() != 0 {
		t.Error("a session that was given up is watched because somebody polls it")
	}
	again := l.watch("tok")
	if again.End != watch.Watching || !again.Created.After(s.Created) {
		t.Errorf("watched once more: %+v", again)
	}
	l.awaitQuestions("tok", 1)
	l.awaitEnd(s.ID, "abandoned") // a repeat makes no event
	l.w.Observe(l.variant("tok"), observation(session.Succeeded))
	l.next(event.TypeSucceeded)
	l.awaitEnd(s.ID, "succeeded")
}

// TestDeadlineCountsFromTheFirstSight: the time while the process was down counts too,
// and one last question is asked.
func TestDeadlineCountsFromTheFirstSight(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Deadline, l.cfg.Interval = time.Hour, time.Hour })
	l.fail("a")
	l.fail("b")
	a, b := l.watch("a"), l.watch("b")
	l.close()
	l.cfg.Deadline = time.Millisecond
	l.cfg.Interval = 10 * time.Millisecond
	l.say("b", session.Succeeded)
	l.open()
	got := map[string]string{}
	for range 2 {
		c := testkit.Receive(t, "an event", l.events.came)
		got[c.Session] = c.Type
	}
	if got[a.ID] != event.TypeAbandoned || got[b.ID] != event.TypeSucceeded {
		t.Errorf("after the restart: %v", got)
	}
	l.awaitEnd(a.ID, "abandoned")
}

// TestRecordsOutliveDeadlinesThatArePutOff: also those that were written before. That is one
// write for each, not one at each start.
func TestRecordsOutliveDeadlinesThatArePutOff(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.fail("tok")
	s := l.watch("tok")
	for _, deadline := range []time.Duration{10 * time.Minute, 48 * time.Hour, 48 * time.Hour} {
		before, err := l.w.Writes(t.Context())
		testkit.NoError(t, err)
		putOff := deadline != l.cfg.Deadline
		l.cfg.Deadline = deadline
		l.restart()
		<-l.w.TakenUp()
		testkit.Eventually(t, "a record that outlives the watch", func() bool {
			expires, err := l.w.Expires(t.Context(), s.ID)
			return err == nil && expires.After(s.Created.Add(deadline))
		})
		l.w.Close() // writes what is not written
		after, err := l.w.Writes(t.Context())
		if testkit.NoError(t, err); after > before != putOff {
			t.Errorf("deadline %v: written %d times", deadline, after-before)
		}
	}
}

// TestClockThatWasSetBack: the clock was an hour ahead when a session was first seen, and
// is right after the restart. The session is polled like any other until its end.
func TestClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	l.say("a", session.Pending)
	ahead := observation(session.Pending)
	ahead.At = time.Now().Round(0).Add(time.Hour) // no more than a wall clock says
	l.w.Observe(l.variant("a"), ahead)
	id := l.next(event.TypePending).Session
	l.cfg.Interval = 10 * time.Millisecond
	l.restart()
	l.awaitQuestions("a", 3)
	l.say("a", session.Succeeded)
	l.next(event.TypeSucceeded)
	l.awaitEnd(id, "succeeded")
}

// TestClockThatWasSetForward: a session that seems to be a day old is asked for once more
// before it is given up.
func TestClockThatWasSetForward(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	l.say("a", session.Succeeded)
	before := observation(session.Pending)
	before.At = time.Now().Round(0).Add(-24 * time.Hour)
	l.w.Observe(l.variant("a"), before)
	id := l.next(event.TypePending).Session
	l.restart()
	l.next(event.TypeSucceeded)
	l.awaitEnd(id, "succeeded")
}

func TestNotFoundIsBelievedAfterAWhile(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.NotFoundAfter = time.Second })
	l.say("late", session.NotFound)
	late := l.watch("late")
	l.awaitQuestions("late", 3)
	l.quiet()
	l.say("late", session.Pending) // right after the start, 40402 is normal
	l.next(event.TypePending)
	l.say("late", session.Unknown)
	l.awaitQuestions("late", 3)
	l.quiet()
	l.say("late", session.NotFound)
	began := time.Now()
	c := l.next(event.TypeNotFound)
	if took := time.Since(began); took < l.cfg.NotFoundAfter-50*time.Millisecond || c.Observation.State != session.NotFound {
		t.Errorf("believed after %v: %+v", took, c)
	}
	l.awaitEnd(late.ID, "not_found")

	// Should it exist after all, it is watched once more.
	l.events.want(true)
	l.say("late", session.Pending)
	l.w.Observe(l.variant("late"), observation(session.Pending))
	if l.w.Live() != 1 {
		t.Error("a session that exists after all is not watched")
	}
	l.say("late", session.Succeeded)
	l.next(event.TypeSucceeded)
	l.awaitEnd(late.ID, "succeeded")
}

func TestOneSessionIsWatchedOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.say("tok", session.Pending)
	done := make(chan error)
	for i := range 20 {
		go func() {
			v := l.variant("tok").In(i % 2)
			if i%3 == 0 {
				l.events.want(true)
				done <- l.w.Started(t.Context(), v)
				return
			}
			_, err := l.w.Watch(t.Context(), v)
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// If a start call came first, the first question is an hour away.
	l.w.Observe(l.variant("tok"), observation(session.Pending))
	l.next(event.TypePending)
	if l.w.Live() != 1 || l.watched() != 1 {
		t.Errorf("%d sessions are watched, %d after a start; want 1", l.w.Live(), l.watched())
	}
	if n := l.questions("tok"); n > 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestMax(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Max, l.cfg.Interval = 2, time.Hour })
	l.events.want(true)
	l.watch("a")
	l.watch("b")
	l.watch("a")
	if _, err := l.w.Watch(t.Context(), l.variant("c")); !errors.Is(err, watch.ErrFull) {
		t.Errorf("Watch = %v; want ErrFull", err)
	}
	if err := l.w.Started(t.Context(), l.variant("c")); !errors.Is(err, watch.ErrFull) {
		t.Errorf("Started = %v; want ErrFull", err)
	}
	l.w.Observe(l.variant("c"), observation(session.Pending))
	if n := testkit.Metrics(t, l.registry)["pollbridge_watches_refused_total"]; n != 2 {
		t.Errorf("%v were refused, want 2: those that began by themselves", n)
	}
	if !strings.Contains(l.log.String(), "watch.max") {
		t.Errorf("the log does not say so: %s", l.log)
	}
	l.events.drain()
	l.w.Observe(l.variant("c"), observation(session.Refused)) // its end needs no place
	l.next(event.TypeRefused)
}

func (e *events) drain() {
	for {
		select {
		case <-e.came:
		default:
			return
		}
	}
}

func TestStoppedEventsComeLater(t *testing.T) {
	t.Parallel()
	for _, through := range []string{"poll", "client", "client, not watched"} {
		l := newLab(t)
		l.say("tok", session.Pending)
		var id string
		if through != "client, not watched" {
			id = l.watch("tok").ID
			l.next(event.TypePending)
		}
		l.events.want(true)
		l.events.failWith(errors.New("the disk is full"))
		if through == "poll" {
			l.say("tok", session.Succeeded)
		} else {
			l.w.Observe(l.variant("tok"), observation(session.Succeeded))
		}
		testkit.Eventually(t, "two attempts", func() bool { return l.events.failures() >= 2 })
		if id != "" && l.watched() != 1 {
			t.Errorf("%s: the watch was over before the event was durable", through)
		}
		testkit.Eventually(t, "failures are counted", func() bool {
			return testkit.Metrics(t, l.registry)["pollbridge_watch_store_failures_total"] >= 2
		})
		l.events.failWith(nil)
		c := l.next(event.TypeSucceeded)
		l.awaitEnd(c.Session, "succeeded")
	}
}

func TestObservationsOfSessionsThatNobodyWatches(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	states := []session.State{session.Pending, session.Succeeded, session.NotFound, session.Unknown}
	for i, state := range states {
		l.w.Observe(l.variant(fmt.Sprint("unwanted", i)), observation(state))
	}
	l.events.want(true)
	l.w.Observe(l.variant("made-up"), observation(session.NotFound))
	l.w.Observe(l.variant("made-up"), observation(session.Unknown))
	if page, _, err := l.w.List(t.Context(), "", 0, 10); l.w.Live() != 0 || len(page) != 0 || err != nil {
		t.Errorf("%d are watched, %v, %v are stored", l.w.Live(), page, err)
	}
	l.quiet()

	v := l.variant("pending")
	l.w.Observe(v, observation(session.Pending))
	l.next(event.TypePending)
	if l.w.Live() != 1 || l.watched() != 1 {
		t.Errorf("%d are watched, %d after a start", l.w.Live(), l.watched())
	}
	l.w.Observe(v, observation(session.Pending))
	l.quiet()
	l.w.Observe(v, observation(session.Expired))
	l.next(event.TypeExpired)
	testkit.Eventually(t, "the end", func() bool { return l.w.Live() == 0 })

	l.w.Observe(l.variant("final"), observation(session.Failed))
	c := l.next(event.TypeFailed)
	l.awaitEnd(c.Session, "failed")
	l.w.Observe(l.variant("final"), observation(session.Failed))
	l.quiet()
}

func TestStartedSessionsAreWatchedWhereWanted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := l.variant("tok")
	testkit.NoError(t, l.w.Started(t.Context(), v))
	if l.w.Live() != 0 {
		t.Error("a session that nobody wants to know of is watched")
	}
	l.events.want(true)
	l.say("tok", session.NotFound)
	testkit.NoError(t, l.w.Started(t.Context(), v))
	id := l.w.Subject(v).Session
	if s, err := l.w.Get(t.Context(), id); err != nil || s.Status() != "pending" {
		t.Errorf("Get = %+v, %v; want pending", s, err)
	}
	l.awaitQuestions("tok", 2)
	l.say("tok", session.Pending)
	l.next(event.TypePending)
	l.say("tok", session.Succeeded)
	l.next(event.TypeSucceeded)
	l.awaitEnd(id, "succeeded")
}

// TestAClientsPollCounts: it postpones the next one of the watch.
func TestAClientsPollCounts(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Schedule, l.cfg.Interval, l.cfg.Deadline = watch.Fixed, time.Hour, 10*time.Hour })
	l.say("tok", session.Pending)
	s := l.watch("tok")
	l.next(event.TypePending)
	for range 2 {
		o := observation(session.Pending)
		o.At = o.At.Add(time.Minute)
		testkit.Eventually(t, "the poll before to end", func() bool {
			l.w.Observe(l.variant("tok"), o)
			due, ok := l.w.Due(s.ID)
			return ok && due.Equal(o.At.Add(time.Hour))
		})
	}
	o := observation(session.Pending)
	o.At = o.At.Add(59*time.Minute + 59*time.Second + l.cfg.Deadline)
	l.w.Observe(l.variant("tok"), o)
	if due, _ := l.w.Due(s.ID); !due.Equal(s.Created.Add(l.cfg.Deadline)) {
		t.Errorf("due %v after the deadline", due.Sub(s.Created.Add(l.cfg.Deadline)))
	}
}

func TestRetries(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 3 * time.Second, 100: 3 * time.Second} {
		if got := watch.RetryAfter(time.Second, failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
	if got := watch.RetryAfter(time.Minute, 5); got != time.Minute {
		t.Errorf("an interval of a minute: %v", got)
	}
}

// TestManyWatches: they begin, live through a restart, and end.
func TestManyWatches(t *testing.T) {
	l := newLab(t, func(l *lab) { l.cfg.Interval, l.cfg.NotFoundAfter = time.Second, time.Hour })
	l.events.want(true)
	var ids []string
	for i := range many {
		v := l.variant(fmt.Sprint("tok", i))
		ids = append(ids, l.w.Subject(v).Session)
		l.say(v.Token, session.Pending)
		testkit.NoError(t, l.w.Started(t.Context(), v))
	}
	began := time.Now()
	l.restart()
	testkit.Eventually(t, "all to be taken up", func() bool { return l.w.Live() == many })
	t.Logf("%d watches were taken up within %v of the end", many, time.Since(began))
	for i := range many {
		l.say(fmt.Sprint("tok", i), session.Succeeded)
	}
	testkit.Eventually(t, "all to end", func() bool { return l.w.Live() == 0 })
	types := map[string]int{}
	for range len(l.events.came) {
		c := <-l.events.came
		types[c.Type]++
	}
	if types[event.TypeSucceeded] != many {
		t.Errorf("%v; want %d succeeded", types, many)
	}
	if n := l.watched(); n != 0 {
		t.Errorf("%d are watched after a start", n)
	}
	if s, err := l.w.Get(t.Context(), ids[many/2]); err != nil || s.Status() != "succeeded" {
		t.Errorf("Get = %+v, %v", s, err)
	}
}

// TestPollsWaitForWatches: polling begins when all watches of before were taken up.
func TestPollsWaitForWatches(t *testing.T) {
	l := newLab(t)
	l.events.want(true)
	for i := range many {
		v := l.variant(fmt.Sprint("tok", i))
		l.say(v.Token, session.Pending)
		testkit.NoError(t, l.w.Started(t.Context(), v))
	}
	l.close()
	live := make(chan int, 1) // when the first question was asked
	l.asking = func() {
		select {
		case live <- l.w.Live():
		default:
		}
	}
	l.open()
	if n := testkit.Receive(t, "a question", live); n != many {
		t.Errorf("asked when %d of %d watches were taken up", n, many)
	}
}

// TestCloseIsBounded: also while the upstream hangs.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("tok", session.Pending)
	l.watch("tok")
	l.next(event.TypePending)
	began := time.Now()
	l.w.Close()
	l.w.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	if _, err := l.w.Watch(t.Context(), l.variant("other")); !errors.Is(err, watch.ErrClosed) {
		t.Errorf("Watch = %v; want ErrClosed", err)
	}
	l.events.want(true)
	l.w.Observe(l.variant("final"), observation(session.Refused)) // an answer that was under way
	l.next(event.TypeRefused)
	l.w.Observe(l.variant("tok"), observation(session.Succeeded))
	l.next(event.TypeSucceeded)
}

// TestEndpointsThatAreNotConfigured: their watches wait for a configuration that has
// them.
func TestEndpointsThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("tok", session.Pending)
	s := l.watch("tok")
	l.next(event.TypePending)
	l.close()
	marksign := l.table
	endpoints, _ := session.Dialect("elpako")
	var err error
	l.table, err = session.NewTable(endpoints)
	testkit.NoError(t, err)
	l.open()
	testkit.Eventually(t, "the watch to be looked at", func() bool { return strings.Contains(l.log.String(), "cannot be resumed") })
	if _, err := l.w.Get(t.Context(), s.ID); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Get = %v; want ErrNotFound", err)
	}
	l.close()
	l.table = marksign
	l.open()
	l.say("tok", session.Succeeded)
	l.next(event.TypeSucceeded)
	l.awaitEnd(s.ID, "succeeded")
}

func TestUpstreamDown(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.fail("tok")
	l.watch("tok")
	l.awaitQuestions("tok", 4)
	l.quiet()
	l.say("tok", session.Succeeded)
	l.next(event.TypeSucceeded)
}

// TestAnEndBetweenTwoSteps: the record is durable, the event is not. It is made after the
// next start.
func TestAnEndBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	l.events.failWith(errors.New("the disk is full"))
	l.say("pending", session.Pending)
	l.say("final", session.Pending)
	l.w.Observe(l.variant("pending"), observation(session.Pending))
	l.w.Observe(l.variant("final"), observation(session.Pending))
	l.w.Observe(l.variant("final"), observation(session.Refused))
	l.close()
	l.events.failWith(nil)
	l.say("final", session.Refused)
	l.open()
	l.awaitQuestions("final", 1)
	came := map[string]bool{}
	for range 3 {
		c := testkit.Receive(t, "an event", l.events.came)
		came[c.Token+" "+c.Type] = true
	}
	if !came["pending "+event.TypePending] || !came["final "+event.TypePending] || !came["final "+event.TypeRefused] {
		t.Errorf("%v came; want two first sights, and that one was refused", came)
	}
}
