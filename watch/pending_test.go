package watch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// waiting is a pending observation with a body and a header.
func waiting(at time.Time, body string) *session.Observation {
	return &session.Observation{
		At: at, Answer: session.Answer{State: session.Pending}, Locale: 1,
		Content: &session.Content{
			Status: 202, Body: []byte(body),
			Header: []session.Field{{Name: []byte("Content-Type"), Value: []byte("application/json")}, {Name: []byte("X-A"), Value: []byte("\xff")}},
		},
	}
}

// wantPending wants the watch of a token to have that answer, of before a restart too.
func (l *lab) wantPending(token string, want *session.Observation) {
	l.t.Helper()
	got := l.w.Pending(l.variant(token))
	switch {
	case want == nil && got == nil:
	case want == nil || got == nil:
		l.t.Errorf("the pending answer to %s is %+v; want %+v", token, got, want)
	case !got.At.Equal(want.At) || got.Answer != want.Answer || got.Locale != want.Locale ||
		got.Status != want.Status || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || string(got.Body) != string(want.Body):
		l.t.Errorf("the pending answer to %s is %+v %s; want %+v %s", token, got, got.Body, want, want.Body)
	}
}

// TestAPendingAnswerSurvivesARestart with its watch, however that began.
func TestAPendingAnswerSurvivesARestart(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	seen, started, registered := waiting(time.Now(), "seen"), waiting(time.Now(), "started"), waiting(time.Now(), "registered")
	for _, token := range []string{"seen", "started", "registered", "over"} {
		l.fail(token)
	}
	testkit.NoError(t, l.w.Started(t.Context(), l.variant("started")))
	l.watch("registered")
	l.w.Observe(l.variant("seen"), seen)
	l.w.Observe(l.variant("started"), started)
	l.w.Observe(l.variant("registered"), registered)
	l.w.Observe(l.variant("over"), waiting(time.Now(), "over"))
	l.w.Observe(l.variant("over"), observation(session.Refused))
	l.w.Observe(l.variant("large"), waiting(time.Now(), strings.Repeat("x", 100<<10)))
	for range 2 {
		l.restart()
		<-l.w.TakenUp()
		l.wantPending("seen", seen)
		l.wantPending("started", started)
		l.wantPending("registered", registered)
		l.wantPending("over", nil)
		l.wantPending("large", nil)
	}
}

// TestAPendingAnswerAmongClocks: how old it is says a replica whose clock is another one.
func TestAPendingAnswerAmongClocks(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	l.fail("tok")
	const ahead = 10 * time.Minute // the servers' clock is, of the first one's
	l.store.SetClock(ahead)
	seen := waiting(time.Now(), "seen")
	l.w.Observe(l.variant("tok"), seen)
	l.wantPending("tok", seen)
	l.restart()
	<-l.w.TakenUp()
	now := *seen
	now.At = seen.At.Add(ahead)
	l.wantPending("tok", &now)
}

// TestPollsAreNoWrites: the same answer again is none, and one that always changes is
// one now and then.
func TestPollsAreNoWrites(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour; l.cfg.Deadline = 3 * time.Hour })
	l.events.want(true)
	now := time.Now()
	v := l.variant("tok")
	l.fail("tok")
	writes := func() uint64 {
		n, err := l.w.Writes(t.Context())
		testkit.NoError(t, err)
		return n
	}
	l.w.Observe(v, waiting(now, "1"))
	for i := range 100 {
		l.w.Observe(v, waiting(now.Add(time.Duration(i)*watch.PendingFor), "1"))
	}
	l.restart()
	if n := writes(); n != 1 {
		t.Errorf("%d writes for one answer", n)
	}
	now = now.Add(100 * watch.PendingFor)
	changed := waiting(now, "2")
	l.w.Observe(v, changed)
	for i := range 10 {
		l.w.Observe(v, waiting(now.Add(time.Duration(i)*time.Second), fmt.Sprint(i)))
	}
	l.restart()
	if n := writes(); n != 2 {
		t.Errorf("%d writes; want 2", n)
	}
	l.wantPending("tok", changed)
	l.w.Observe(v, waiting(now.Add(time.Second), "2"))
	l.restart()
	if n := writes(); n != 2 {
		t.Errorf("%d writes after a restart; want 2", n)
	}
	last := waiting(now.Add(watch.PendingFor), "3")
	l.w.Observe(v, last)
	l.restart()
	l.wantPending("tok", last)
}

// TestOnlyTheQuestionOfTheWatchIsKept: what was asked otherwise is answered to nobody
// else.
func TestOnlyTheQuestionOfTheWatchIsKept(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.fail("tok")
	l.watch("tok")
	match, _ := l.table.Match([]byte("POST"), []byte("/smartid/sign/status/tok.json"))
	var r session.Request
	if !r.Read(match, session.Incoming{Body: []byte(`{"access_token":"` + secret + `","x":1}`)}) {
		t.Fatal("no status request")
	}
	l.w.Observe(r.Variant(), waiting(time.Now(), "further"))
	l.restart()
	l.wantPending("tok", nil)
}

// TestRecordsOfTheFirstForm are taken up, and get their answer with the next poll.
func TestRecordsOfTheFirstForm(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("tok", session.Pending)
	s := l.watch("tok")
	l.next(event.TypePending)
	testkit.Eventually(t, "its answer", func() bool { n, err := l.w.Writes(t.Context()); return err == nil && n >= 2 })
	l.w.Close()
	testkit.NoError(t, l.w.PutInFirstForm(t.Context(), s.ID))
	l.fail("tok")
	l.restart()
	<-l.w.TakenUp()
	l.wantPending("tok", nil)
	l.say("tok", session.Pending)
	testkit.Eventually(t, "an answer", func() bool { return l.w.Pending(l.variant("tok")) != nil })
	l.restart()
	<-l.w.TakenUp()
	if l.w.Pending(l.variant("tok")) == nil {
		t.Error("the answer after the first start is not there after the next")
	}
	got, err := l.w.Get(t.Context(), s.ID)
	if err != nil || !got.Created.Equal(s.Created) || got.Status() != "pending" {
		t.Errorf("Get = %+v, %v; want it as it was, %+v", got, err, s)
	}
	l.quiet()
}

// TestAStartAsksForNoEvents of first sights that are events: there may be very many.
func TestAStartAsksForNoEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	for i := range 50 {
		token := fmt.Sprint("tok", i)
		l.fail(token)
		l.w.Observe(l.variant(token), waiting(time.Now(), "{}"))
		l.next(event.TypePending)
	}
	for round := range 2 {
		l.restart()
		<-l.w.TakenUp()
		testkit.Eventually(t, "all to be asked about", func() bool {
			for i := range 50 {
				if l.questions(fmt.Sprint("tok", i)) <= round {
					return false
				}
			}
			return true
		})
		l.events.mu.Lock()
		if l.events.calls != 50 {
			t.Errorf("%d events were asked for; want 50", l.events.calls)
		}
		l.events.mu.Unlock()
	}
}
