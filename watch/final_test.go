package watch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// TestTheFirstFinalAnswerDecides, however old it is when it comes, and no other one.
func TestTheFirstFinalAnswerDecides(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	v := l.variant("token")
	begun := time.Now()
	l.w.Observe(v, waiting(begun, "{}"))
	l.next(event.TypePending)
	l.w.Observe(v, waiting(begun.Add(time.Second), "{}"))
	late := observation(session.Succeeded)
	late.At = begun.Add(500 * time.Millisecond) // it took a while to be stored
	l.w.Observe(v, late)
	l.next(event.TypeSucceeded)
	l.w.Observe(v, observation(session.Refused))
	l.awaitEnd(l.id("token"), "succeeded")
	l.quiet()
}

// fielded asks about a session with a further field.
func (l *lab) fielded(token string) *session.Variant {
	l.t.Helper()
	plain := l.variant(token)
	match, ok := l.table.Match([]byte("POST"), []byte(plain.Target()))
	var r session.Request
	if !ok || !r.Read(match, session.Incoming{Body: []byte(`{"access_token":"` + secret + `","x":1}`)}) {
		l.t.Fatal("not a status request")
	}
	v := r.Variant()
	if v.Key() == plain.Key() || v.Plain().Key() != plain.Key() || plain.Plain() != plain {
		l.t.Fatal("the plain variant is another one")
	}
	return v
}

// TestFurtherFieldsEndNothing: a final error, or an unknown session, of a question with
// further fields has the plain one asked, which decides; a document ends it.
func TestFurtherFieldsEndNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval, l.cfg.NotFoundAfter = time.Hour, 0 })
	l.events.want(true)
	l.say("token", session.Pending)
	l.w.Observe(l.variant("token"), waiting(time.Now(), "{}"))
	l.next(event.TypePending)
	for range 3 {
		asked := l.questions("token")
		l.w.Observe(l.fielded("token"), observation(session.Refused))
		testkit.Eventually(t, "the plain question is asked", func() bool { return l.questions("token") > asked })
	}
	l.w.Observe(l.fielded("token"), observation(session.NotFound))
	l.quiet()
	l.say("token", session.Refused)
	l.w.Observe(l.fielded("token"), observation(session.Failed))
	l.next(event.TypeRefused)
	l.awaitEnd(l.id("token"), "refused")

	t.Log("of a session that nobody has asked for plainly")
	l.say("other", session.Expired)
	l.w.Observe(l.fielded("other"), observation(session.Failed))
	l.next(event.TypeExpired)
	l.w.Observe(l.fielded("signed"), observation(session.Succeeded))
	l.next(event.TypeSucceeded)
	l.awaitEnd(l.id("signed"), "succeeded")
}

// TestBadPollsPutNothingOff: polls of others that bring nothing do not delay the watch's own.
func TestBadPollsPutNothingOff(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = 200 * time.Millisecond })
	l.events.want(true)
	l.say("token", session.Pending)
	l.w.Observe(l.variant("token"), waiting(time.Now(), "{}"))
	asked := l.questions("token")
	deadline := time.Now().Add(testkit.Timeout)
	for l.questions("token") < asked+3 {
		l.w.Observe(l.fielded("token"), observation(session.Unknown))
		if time.Now().After(deadline) {
			t.Fatal("the watch is put off by other polls")
		}
	}
}

// id is that of a session.
func (l *lab) id(token string) string { return l.w.Subject(l.variant(token)).Session }

// TestAnotherEndIsLogged while the first one is being stored.
func TestAnotherEndIsLogged(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	l.watch("token")
	l.events.failWith(errors.New("the store is busy"))
	l.w.Observe(l.variant("token"), observation(session.Succeeded))
	l.w.Observe(l.variant("token"), observation(session.Refused))
	l.events.failWith(nil)
	l.next(event.TypeSucceeded)
	l.awaitEnd(l.id("token"), "succeeded")
	if !strings.Contains(l.log.String(), "the first one counts") {
		t.Error("the log says nothing of the other one")
	}
}

// TestEndsOfWhichNobodyWasTold: the process was killed when a final answer was stored, which
// was the first that was seen of its session, and nobody asks again.
func TestEndsOfWhichNobodyWasTold(t *testing.T) {
	t.Parallel()
	l := unopened(t)
	l.events.want(true)
	l.finals.keep(l.variant("tok"), session.Succeeded)
	l.open()
	l.next(event.TypeSucceeded)
	l.awaitEnd(l.id("tok"), "succeeded")
	l.restart()
	<-l.w.TakenUp()
	l.quiet()
	l.close()
}

// TestAnEventThatWaitsHoldsNoDocument: while it cannot be stored there may be very many.
func TestAnEventThatWaitsHoldsNoDocument(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.events.want(true)
	l.events.failWith(errors.New("the disk is full"))
	o := observation(session.Succeeded)
	o.Body = []byte(`{"status":"ok","file":{"name":"a.pdf","content":"` + strings.Repeat("QUJD", 1<<20) + `"}}`)
	l.w.Observe(l.variant("tok"), o)
	l.events.failWith(nil)
	c := l.next(event.TypeSucceeded)
	if string(c.Observation.Body) != `{"status":"ok","file":{"name":"a.pdf"}}` || !c.FileOmitted || len(o.Body) < 1<<22 {
		t.Errorf("the change has %d bytes, file omitted: %t", len(c.Observation.Body), c.FileOmitted)
	}
	l.awaitEnd(c.Session, "succeeded")
}
