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

// wantRestored wants memory to have been told of the answers with these bodies.
func (l *lab) wantRestored(token string, want *session.Observation) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.restored {
		if r.v.Token != token {
			continue
		}
		if want == nil {
			l.t.Errorf("the answer to %s was restored: %s", token, r.o.Body)
			continue
		}
		if r.v.Key() != l.variant(token).Key() || !r.o.At.Equal(want.At) || r.o.Answer != want.Answer || r.o.Locale != want.Locale ||
			r.o.Status != want.Status || fmt.Sprint(r.o.Header) != fmt.Sprint(want.Header) || string(r.o.Body) != string(want.Body) {
			l.t.Errorf("restored as %+v %s; want %+v %s", r.o, r.o.Body, want, want.Body)
		}
		return
	}
	if want != nil {
		l.t.Errorf("the pending answer to %s was not restored", token)
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
		l.wantRestored("seen", seen)
		l.wantRestored("started", started)
		l.wantRestored("registered", registered)
		l.wantRestored("over", nil)
		l.wantRestored("large", nil)
	}
	if n := len(l.restored); n != 3 {
		t.Errorf("%d answers were restored; want 3", n)
	}
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
	l.wantRestored("tok", changed)
	l.w.Observe(v, waiting(now.Add(time.Second), "2"))
	l.restart()
	if n := writes(); n != 2 {
		t.Errorf("%d writes after a restart; want 2", n)
	}
	last := waiting(now.Add(watch.PendingFor), "3")
	l.w.Observe(v, last)
	l.restart()
	l.wantRestored("tok", last)
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
	l.wantRestored("tok", nil)
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
	l.restart()
	l.wantRestored("tok", nil)
	l.awaitQuestions("tok", 2)
	l.restart()
	if len(l.restored) != 1 {
		t.Errorf("%d answers were restored after the next polls; want 1", len(l.restored))
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
