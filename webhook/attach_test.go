package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/signature"
)

func subjectOf(sessionID string) event.Subject {
	return event.Subject{Session: sessionID, Endpoint: "smartid-sign", Account: "acc_x"}
}

func TestHeaderTarget(t *testing.T) {
	t.Parallel()
	secret := headerSecret(32)
	b := newBridge(t, func(b *bridge) {
		b.cfg.AllowHTTP = false
		b.cfg.HeaderHosts = map[string]string{"hooks.example": secret, "127.0.0.1": secret}
	})
	for _, c := range []struct {
		value string
		want  string // in the error; empty: none
	}{
		{"https://hooks.example/a?b=c", ""},
		{"https://HOOKS.example.:8443/", ""},
		{"https://other.example/", "other.example is not one of the hosts"},
		{"https://hooks.example.evil.example/", "is not one of the hosts"},
		{"https://hooks.example@evil.example/", "must not have user info"},
		{"http://hooks.example/", "must be https"},
		{"https://hooks.example:22/", "one of the ports"},
		{"hooks.example", "must have the scheme https"},
		{"", "must have the scheme https"},
		{"https://hooks.example/\r\nX: y", "visible ASCII"},
		{"https://hooks.example/#x", "fragment"},
	} {
		o, err := b.HeaderTarget(c.value)
		if target := new(webhook.TargetError); err != nil && !errors.As(err, &target) || (err == nil) != (c.want == "") || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("HeaderTarget(%q) = %v; want %q", c.value, err, c.want)
		}
		if err == nil && (o.URL != c.value || o.Secret != secret) {
			t.Errorf("HeaderTarget(%q) = %q", c.value, o.URL)
		}
	}
	off := newBridge(t, nil)
	if _, err := off.HeaderTarget("https://hooks.example/"); err == nil {
		t.Error("HeaderTarget works although no host is configured")
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) { b.cfg.HeaderHosts = map[string]string{"127.0.0.1": headerSecret(32)} }, r)
	o, err := b.HeaderTarget(r.URL + "/hook")
	if err != nil {
		t.Fatal(err)
	}
	if b.Wanted(subjectOf("ses_a")) {
		t.Error("wanted before")
	}
	sub, err := b.Attach(t.Context(), subjectOf("ses_a"), o)
	if err != nil || !sub.Bound || sub.Secret != "" {
		t.Fatalf("Attach = %+v, %v", sub, err)
	}
	if again, err := b.Attach(t.Context(), subjectOf("ses_a"), o); err != nil || again.ID != sub.ID {
		t.Errorf("Attach again = %+v, %v", again, err)
	}
	if !b.Wanted(subjectOf("ses_a")) || b.Wanted(subjectOf("ses_b")) {
		t.Error("not wanted, or another session is")
	}
	b.changed(change("ses_a", session.Pending))
	b.changed(change("ses_b", session.Pending))
	b.reopen()
	r.Wait(t, 1) // or the final event may overtake it, and it is not sent
	b.changed(change("ses_a", session.Succeeded))
	all := r.Wait(t, 2)
	for _, got := range all {
		if err := signature.Verify(got.Header, got.Body, time.Now(), o.Secret); err != nil || got.Data["session"] != "ses_a" {
			t.Errorf("got %s: %v", got.Body, err)
		}
	}
	testkit.Eventually(t, "it ends with its session", func() bool {
		_, err := b.Get(t.Context(), sub.ID)
		return errors.Is(err, webhook.ErrNotFound)
	})
	// Clients name it with each poll: it does not come back.
	if _, err := b.Attach(t.Context(), subjectOf("ses_a"), o); err != nil {
		t.Error(err)
	}
	if _, err := b.Get(t.Context(), sub.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Error("a subscription whose session is over came back")
	}
	if page, _, err := b.List(t.Context(), "", 10); err != nil || len(page) != 0 {
		t.Errorf("List = %d, %v; want no bound ones", len(page), err)
	}
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks; want 2", n)
	}
}

// TestAttachComesLate: the session is over when somebody asks to be told.
func TestAttachComesLate(t *testing.T) {
	t.Parallel()
	r, witness := testkit.NewReceiver(t, nil), testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r, witness)
	b.subscribe(webhook.NewSubscription{URL: witness.URL})
	b.changed(change("ses_a", session.Pending))
	b.changed(change("ses_a", session.Succeeded))
	witness.Wait(t, 2) // so nobody else will make a delivery of them
	sub, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL})
	if err != nil || !strings.HasPrefix(sub.Secret, "whsec_") {
		t.Fatalf("Attach = %+v, %v", sub, err)
	}
	testkit.Eventually(t, "the final event arrived", func() bool {
		return slices.ContainsFunc(r.Got(), func(got testkit.Webhook) bool { // the one before may come too
			return got.Type == event.TypeSucceeded && signature.Verify(got.Header, got.Body, time.Now(), sub.Secret) == nil
		})
	})
	if _, err := b.Attach(t.Context(), subjectOf("ses_b"), webhook.AttachOptions{URL: "https://10.0.0.1/"}); err == nil {
		t.Error("a private address was attached")
	}
	if _, err := b.Attach(t.Context(), subjectOf("ses_b"), webhook.AttachOptions{URL: r.URL, Secret: "whsec_short"}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a bad secret: %v", err)
	}
}

// TestAttachedShareAConsumer: signings make nothing of their own that takes work.
func TestAttachedShareAConsumer(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	const sessions = 50
	for i := range sessions {
		id := fmt.Sprintf("ses_%d", i)
		if _, err := b.Attach(t.Context(), subjectOf(id), webhook.AttachOptions{URL: r.URL}); err != nil {
			t.Fatal(err)
		}
		b.changed(change(id, session.Succeeded))
	}
	r.Wait(t, sessions)
	testkit.Eventually(t, "all have ended", func() bool { return b.Bound() == 0 && b.stats().Consumers == 1 })
}

// TestPathsShareConsumers: a path of its own for each signing makes no consumer each.
func TestPathsShareConsumers(t *testing.T) {
	t.Parallel()
	const paths, most = 300, 64
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	for i := range paths {
		id := fmt.Sprintf("ses_%d", i)
		b.attach(id, webhook.AttachOptions{URL: fmt.Sprintf("%s/hook/%d", r.URL, i)})
		b.changed(change(id, session.Succeeded))
	}
	r.Wait(t, paths)
	if n := b.stats().Consumers; n < 2 || n > most {
		t.Errorf("%d consumers for %d paths of a host; want some, and no more than %d", n, paths, most)
	}
}

// TestAttachedPendingIsSuperseded: with the session's end nothing stays behind.
func TestAttachedPendingIsSuperseded(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Type == event.TypePending {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	sub, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Pending))
	b.ended(sub, delivery.Waiting)
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	b.ended(sub, delivery.Superseded)
	testkit.Eventually(t, "nothing waits", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
}

// TestEraseDuringAnAttempt: what is under way is not noted any more.
func TestEraseDuringAnAttempt(t *testing.T) {
	t.Parallel()
	erased := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
		<-erased
		fmt.Fprint(w, "their answer")
	})
	b := newBridge(t, nil, r)
	b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	if err := b.EraseSession(t.Context(), "ses_a"); err != nil {
		t.Fatal(err)
	}
	close(erased)
	testkit.Eventually(t, "the attempt is over", func() bool {
		st, err := b.Stats(t.Context())
		return err == nil && st.BacklogNow+st.AttemptsUnderWay == 0
	})
	if left := b.deliveriesOf(delivery.Filter{}); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestAttachIsBounded(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	attach := func(i int) error {
		_, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: fmt.Sprintf("https://example.com/%d", i)})
		return err
	}
	for i := range 16 {
		if err := attach(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := attach(16); err == nil {
		t.Error("one more was attached than can be")
	}
	if err := attach(3); err != nil {
		t.Errorf("one that is attached already: %v", err)
	}
}

// TestAttachedIsOvertaken: the final event arrives while the one before is not tried
// yet, which is told and not sent.
func TestAttachedIsOvertaken(t *testing.T) {
	t.Parallel()
	final := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Type == event.TypePending {
			<-final
		}
	})
	b := newBridge(t, nil, r)
	sub, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Pending))
	r.Wait(t, 1)
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	b.ended(sub, delivery.Superseded)
	close(final)
	testkit.Eventually(t, "nothing waits", func() bool {
		st, err := b.Stats(t.Context())
		return err == nil && st.BacklogNow+st.BacklogLater+st.AttemptsUnderWay+b.Bound() == 0
	})
	// Its attempt was under way, and went well.
	if d := b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered}); len(d) != 2 {
		t.Errorf("%d are delivered; want both", len(d))
	}
}

func TestEraseSession(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
		w.WriteHeader(500)
		fmt.Fprint(w, "their answer")
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{300 * time.Millisecond} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	bound, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL + "/bound"})
	if err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Succeeded))
	b.changed(change("ses_b", session.Succeeded))
	testkit.Eventually(t, "three attempts are noted", func() bool { return len(b.deliveriesOf(delivery.Filter{})) == 3 })
	if err := b.EraseSession(t.Context(), "ses_a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), bound.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("the attached subscription: %v", err)
	}
	testkit.Eventually(t, "the other one is dead", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, Session: "ses_b", State: delivery.Dead})) == 1
	})
	testkit.Eventually(t, "nothing waits", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	if left := b.deliveriesOf(delivery.Filter{Session: "ses_a"}); len(left) != 0 {
		t.Errorf("%d deliveries are left: %+v", len(left), left)
	}
	events, _, err := b.Events(t.Context(), "", 10, 0)
	if err != nil || len(events) != 1 || events[0].Subject != "ses_b" {
		t.Errorf("%d events are left, %v", len(events), err)
	}
	for range 2 { // also what was never there
		if err := b.EraseSession(t.Context(), "ses_nobody"); err != nil {
			t.Error(err)
		}
	}
}

// TestAttachedEndsWithoutAFinalState: nobody knows the session, or it took too long.
func TestAttachedEndsWithoutAFinalState(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	notFound, abandoned := change("ses_a", session.NotFound), change("ses_b", session.Pending)
	abandoned.Type = event.TypeAbandoned
	for i, c := range []event.Change{notFound, abandoned} {
		sub, err := b.Attach(t.Context(), c.Subject, webhook.AttachOptions{URL: r.URL})
		if err != nil {
			t.Fatal(err)
		}
		b.changed(c)
		r.Wait(t, i+1)
		testkit.Eventually(t, "it ends with its session", func() bool {
			_, err := b.Get(t.Context(), sub.ID)
			return errors.Is(err, webhook.ErrNotFound)
		})
	}
	// The session is known after all: whoever names a webhook again hears of it.
	b.changed(change("ses_a", session.Pending))
	if _, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL}); err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Succeeded))
	testkit.Eventually(t, "the final event arrived", func() bool {
		return slices.ContainsFunc(r.Got(), func(got testkit.Webhook) bool { return got.Type == event.TypeSucceeded })
	})
}

func TestAllAttachedAreBounded(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) { b.options.SetBounds(0, 3) }, r)
	b.subscribe(webhook.NewSubscription{URL: "https://example.com/"}) // does not count
	attach := func(i int) error {
		_, err := b.Attach(t.Context(), subjectOf(fmt.Sprintf("ses_%d", i)), webhook.AttachOptions{URL: r.URL})
		return err
	}
	for i := range 3 {
		if err := attach(i); err != nil {
			t.Fatal(err)
		}
	}
	b.reopen()
	if err := attach(3); !errors.Is(err, webhook.ErrFull) {
		t.Errorf("one more than can be: %v", err)
	}
	if err := attach(1); err != nil {
		t.Errorf("one that is attached already: %v", err)
	}
	b.changed(change("ses_1", session.Succeeded))
	testkit.Eventually(t, "there is room again", func() bool { return attach(3) == nil })
}

// TestAttachedDifferently: what is attached again is as it was asked for the last time.
func TestAttachedDifferently(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	before, after := headerSecret(24), headerSecret(32)
	first, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL, Secret: before, Events: []string{event.TypeRefused}})
	testkit.NoError(t, err)
	again, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL, Secret: after, IncludeFile: true, Headers: map[string]string{"X-A": "b"}})
	testkit.NoError(t, err)
	if again.ID != first.ID || !again.IncludeFile || len(again.Events) > 0 || len(again.Headers) != 1 {
		t.Errorf("attached again: %+v", again)
	}
	if same, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL, IncludeFile: true, Headers: map[string]string{"X-A": "b"}}); err != nil || !same.Updated.Equal(again.Updated) {
		t.Errorf("attached as it is: %+v, %v; want no change", same, err)
	}
	b.changed(change("ses_a", session.Succeeded))
	got := r.Wait(t, 1)[0]
	for _, secret := range []string{after, before} { // the one before for a while
		testkit.NoError(t, signature.Verify(got.Header, got.Body, time.Now(), secret))
	}
	if got.Header.Get("X-A") != "b" {
		t.Errorf("the headers are %v", got.Header)
	}
}

// TestAttachWhileItEnds: a session may end at any moment while somebody, or two of them,
// ask to be told.
func TestAttachWhileItEnds(t *testing.T) {
	t.Parallel()
	const sessions = 300
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	var both sync.WaitGroup
	for i := range sessions {
		id := fmt.Sprintf("ses_%d", i)
		for range 2 {
			both.Go(func() {
				if _, err := b.Attach(t.Context(), subjectOf(id), webhook.AttachOptions{URL: r.URL}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Go(func() {
			if _, err := b.Changed(t.Context(), change(id, session.Succeeded)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if all := r.Wait(t, sessions); len(all) != sessions {
		t.Errorf("%d webhooks for %d sessions", len(all), sessions)
	}
	testkit.Eventually(t, "nothing is remembered", func() bool { return b.Bound()+b.Remembered() == 0 })
}

// abandoned is what package watch says when it gives a session up.
func abandoned(sessionID string) event.Change {
	c := change(sessionID, session.Pending)
	c.Type = event.TypeAbandoned
	return c
}

func (b *bridge) attach(sessionID string, o webhook.AttachOptions) webhook.Subscription {
	b.t.Helper()
	sub, err := b.Attach(b.t.Context(), subjectOf(sessionID), o)
	if err != nil {
		b.t.Fatalf("Attach = %v", err)
	}
	return sub
}

// released waits until nothing is attached to any session.
func (b *bridge) released() {
	b.t.Helper()
	testkit.Eventually(b.t, "it ends with its session", func() bool { return b.Bound() == 0 })
}

// TestAttachedToASessionThatIsWatchedOnceMore: what was given up may be registered again,
// and whoever does so hears how it ends.
func TestAttachedToASessionThatIsWatchedOnceMore(t *testing.T) {
	t.Parallel()
	for _, end := range []event.Change{abandoned("ses_a"), change("ses_a", session.NotFound)} {
		r := testkit.NewReceiver(t, nil)
		b := newBridge(t, nil, r)
		o := webhook.AttachOptions{URL: r.URL}
		b.attach("ses_a", o)
		b.changed(end)
		r.Wait(t, 1)
		b.released()
		sub := b.attach("ses_a", o)
		if got, err := b.Get(t.Context(), sub.ID); err != nil || sub.Secret == "" {
			t.Fatalf("after %s: Get = %+v, %v; secret %q", end.Type, got, err, sub.Secret)
		}
		b.reopen()
		b.changed(change("ses_a", session.Succeeded))
		if got := r.Wait(t, 2)[1]; got.Type != event.TypeSucceeded || signature.Verify(got.Header, got.Body, time.Now(), sub.Secret) != nil {
			t.Errorf("after %s: %s", end.Type, got.Body)
		}
		b.released()
		b.attach("ses_a", o)
		if n := b.Bound(); n != 0 || r.Count() != 2 {
			t.Errorf("after %s and success: %d are attached, %d webhooks", end.Type, n, r.Count())
		}
	}
}

// TestAttachedAndGivenUpAgain: the event of it is not made again, and nothing is left.
func TestAttachedAndGivenUpAgain(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	o := webhook.AttachOptions{URL: r.URL}
	b.attach("ses_a", o)
	b.changed(abandoned("ses_a"))
	for range 2 {
		b.released()
		b.attach("ses_a", o)
		if b.changed(abandoned("ses_a")) {
			t.Error("a repeat was published")
		}
	}
	b.released()
	if n := r.Count(); n != 1 {
		t.Errorf("%d webhooks; want 1", n)
	}
}

// TestAttachedAgainWhileTheEndWaits: the session is watched once more before its receiver
// has heard that it was given up.
func TestAttachedAgainWhileTheEndWaits(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	r := testkit.NewReceiver(t, func(http.ResponseWriter, testkit.Webhook, int) { <-answer })
	b := newBridge(t, nil, r)
	o := webhook.AttachOptions{URL: r.URL}
	sub := b.attach("ses_a", o)
	b.changed(abandoned("ses_a"))
	r.Wait(t, 1)
	if again := b.attach("ses_a", o); again.ID != sub.ID {
		t.Errorf("attached again: %+v", again)
	}
	close(answer)
	b.ended(sub, delivery.Delivered)
	b.idle()
	if _, err := b.Get(t.Context(), sub.ID); err != nil {
		t.Fatalf("Get = %v; want it there, as its session is watched", err)
	}
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 2)
	b.released()
}

// idle waits until nothing is left to be done.
func (b *bridge) idle() {
	b.t.Helper()
	testkit.Eventually(b.t, "nothing waits", func() bool {
		st, err := b.Stats(b.t.Context())
		return err == nil && st.BacklogNow+st.BacklogLater+st.AttemptsUnderWay == 0
	})
}

// TestAttachedSeenToSucceedAfterAll: it was given up, and before its receiver has heard of
// that somebody sees it succeed.
func TestAttachedSeenToSucceedAfterAll(t *testing.T) {
	t.Parallel()
	first, last := make(chan struct{}), make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, n int) {
		if got.Type == event.TypeAbandoned {
			<-first
			return
		}
		<-last
		if n == 2 {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, nil, r)
	sub := b.attach("ses_a", webhook.AttachOptions{URL: r.URL})
	b.changed(abandoned("ses_a"))
	r.Wait(t, 1)
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 2)
	close(first)
	b.ended(sub, delivery.Delivered)
	close(last)
	testkit.Eventually(t, "both are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == 2
	})
	b.released()
	if n := r.Count(); n != 3 {
		t.Errorf("%d webhooks; want 3", n)
	}
}

// TestAttachedWithoutTheEnd: whoever did not ask how the session ends has heard all, and
// what did not arrive yet still does.
func TestAttachedWithoutTheEnd(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = slices.Repeat([]time.Duration{20 * time.Millisecond}, 1000) }, r)
	pending := webhook.AttachOptions{URL: r.URL + "/pending", Events: []string{event.TypePending}}
	b.attach("ses_a", webhook.AttachOptions{URL: r.URL + "/refused", Events: []string{event.TypeRefused}})
	b.changed(change("ses_a", session.Succeeded))
	b.released()

	sub := b.attach("ses_b", pending)
	b.changed(change("ses_b", session.Pending))
	r.Wait(t, 1)
	b.attach("ses_b", webhook.AttachOptions{URL: r.URL + "/refused", Events: []string{event.TypeRefused}})
	b.changed(change("ses_b", session.Succeeded))
	testkit.Eventually(t, "only who waits for something is left", func() bool { return b.Bound() == 1 })
	r.Set(nil)
	b.ended(sub, delivery.Delivered)
	b.released()

	// What was before it was attached is not for it.
	b.changed(change("ses_c", session.Pending))
	b.changed(abandoned("ses_c"))
	b.attach("ses_c", pending)
	b.changed(change("ses_c", session.Succeeded))
	b.released()

	for _, id := range []string{"ses_a", "ses_b", "ses_c"} { // it is over
		b.attach(id, webhook.AttachOptions{URL: r.URL + "/late", Events: []string{event.TypePending}})
	}
	if n := b.Bound(); n != 0 {
		t.Errorf("%d are attached to what is over; want none", n)
	}
}

// TestAttachedWithoutTheEndIsNotForgotten: it is let go later where that fails.
func TestAttachedWithoutTheEndIsNotForgotten(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	b.close()
	b.prepare() // so that nobody else lets it go
	b.attach("ses_a", webhook.AttachOptions{URL: "https://example.com/", Events: []string{event.TypeRefused}})
	b.changed(change("ses_a", session.Succeeded))
	end := &event.Event{Key: "ses_a", Type: event.TypeSucceeded, Final: true, Position: 1} // nothing else was recorded
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.FansOut(ended, end); err == nil || b.Bound() != 1 {
		t.Errorf("FansOut = %v, %d are attached; want an error and one", err, b.Bound())
	}
	testkit.NoError(t, b.FansOut(t.Context(), end))
	b.released()
}

// TestAttachedSeenToSucceedAtThatMoment: whoever is let go because the session was given up
// has missed nothing of it: what comes then is told when it is attached again.
func TestAttachedSeenToSucceedAtThatMoment(t *testing.T) {
	t.Parallel()
	const sessions = 300
	var told sync.Map // channels, by session
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if c, given := told.LoadAndDelete(got.Data["session"]); given {
			close(c.(chan struct{}))
		}
	})
	b := newBridge(t, nil, r)
	var all sync.WaitGroup
	for i := range sessions {
		id := fmt.Sprintf("ses_%d", i)
		b.attach(id, webhook.AttachOptions{URL: r.URL})
		given := make(chan struct{})
		told.Store(id, given)
		b.changed(abandoned(id))
		all.Go(func() {
			<-given
			if _, err := b.Changed(t.Context(), change(id, session.Succeeded)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b.idle()
	for i := range sessions {
		b.attach(fmt.Sprintf("ses_%d", i), webhook.AttachOptions{URL: r.URL})
	}
	testkit.Eventually(t, "all have heard of the success", func() bool {
		heard := map[any]bool{}
		for _, got := range r.Got() {
			if got.Type == event.TypeSucceeded {
				heard[got.Data["session"]] = true
			}
		}
		return len(heard) == sessions
	})
	b.released()
}

// TestAttachedAgainByAnotherProcess: the session was given up, and while one process lets go
// of who has heard of that, another one attaches the same again.
func TestAttachedAgainByAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	b.close()
	b.prepare() // so that nobody lets go of it but the test
	other, o := b.another(), webhook.AttachOptions{URL: "https://example.com/"}
	sub := b.attach("ses_a", o)
	b.changed(abandoned("ses_a"))
	looks := 0
	testkit.NoError(t, b.LetGo(t.Context(), sub.ID, func(heard uint64) bool {
		if looks++; heard > 0 {
			return false
		}
		_, err := other.Attach(t.Context(), subjectOf("ses_a"), o)
		testkit.NoError(t, err)
		return true
	}))
	if _, err := b.RotateSecret(t.Context(), sub.ID); err != nil || looks != 2 {
		t.Errorf("after %d looks: %v; want it there after two", looks, err)
	}
	testkit.NoError(t, b.LetGo(t.Context(), sub.ID, func(uint64) bool { return true }))
	if again, err := other.Attach(t.Context(), subjectOf("ses_a"), o); err != nil || again.Secret == sub.Secret {
		t.Errorf("attached after it was let go: %+v, %v; want another one", again, err)
	}
}

// TestAttachedAgainAfterItsDeliveryDied with the subscription: it is delivered, once.
func TestAttachedAgainAfterItsDeliveryDied(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	sub := b.attach("ses_a", webhook.AttachOptions{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	testkit.NoError(t, b.Delete(t.Context(), sub.ID))
	b.ended(sub, delivery.Dead)
	r.Set(nil)
	b.attach("ses_a", webhook.AttachOptions{URL: r.URL})
	b.ended(sub, delivery.Delivered)
	b.released()
	testkit.Eventually(t, "none is counted as dead", func() bool { return b.metric("pollbridge_deliveries_dead", "") == 0 })
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks; want 2", n)
	}
}
