package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
	"pollbridge/webhook/signature"
)

func TestEventsArrive(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL + "/hook?k=v", Headers: map[string]string{"Authorization": "Bearer mine"}, Signature: "v1a"})
	if !strings.HasPrefix(sub.Secret, "whsec_") || !strings.HasPrefix(sub.PublicKey, "whpk_") || !sub.Enabled {
		t.Errorf("Create = %+v; want a secret and a public key", sub)
	}
	if !b.changed(change("ses_a", session.Pending)) || !b.changed(change("ses_a", session.Succeeded)) {
		t.Error("a change was not published")
	}
	all := r.Wait(t, 2)
	if all[0].ID() == all[1].ID() || !strings.HasPrefix(all[0].ID(), "evt_") {
		t.Errorf("ids %s and %s", all[0].ID(), all[1].ID())
	}
	for _, got := range all {
		for _, key := range []string{sub.Secret, sub.PublicKey} {
			if err := signature.Verify(got.Header, got.Body, time.Now(), key); err != nil {
				t.Errorf("%s with %s…: %v", got.Type, key[:6], err)
			}
		}
		for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "pollbridge/test", "Authorization": "Bearer mine"} {
			if got := got.Header.Get(name); got != want {
				t.Errorf("%s: %q; want %q", name, got, want)
			}
		}
	}
	testkit.Eventually(t, "two deliveries", func() bool {
		return len(b.deliveriesOf(delivery.Filter{State: delivery.Delivered, Session: "ses_a"})) == 2
	})
	testkit.Eventually(t, "metrics", func() bool {
		return b.metric("pollbridge_deliveries_total", "delivered") == 2 && b.metric("pollbridge_delivery_seconds", "") == 2 &&
			b.metric("pollbridge_events_total", "session.pending") == 1 && b.metric("pollbridge_delivery_backlog", "") == 0
	})
}

// TestPayload: byte for byte what the contract shows.
func TestPayload(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	at := time.Date(2026, 11, 23, 8, 15, 30, 123456789, time.UTC)
	publish := func(c event.Change) {
		c.At = at
		if c.Observation != nil {
			c.Observation.At = at.Add(-time.Second)
		}
		b.changed(c)
	}
	publish(change("ses_a", session.Pending))
	publish(change("ses_a", session.Succeeded))
	publish(change("ses_b", session.Refused))
	abandoned := change("ses_c", session.Pending)
	abandoned.Type, abandoned.Observation = event.TypeAbandoned, nil
	publish(abandoned)
	odd := change("ses_d", session.Succeeded)
	odd.Observation = observed(201, "\xef\xbb\xbf {\"status\":\"ok\", \"a\":1,\"a\":1.00, \"b\":\"\\ud800\xff\", \"file\":{\"content\":\"x\"}} ")
	publish(odd)

	events, next, err := b.Events(t.Context(), "", 100, 0)
	if err != nil || len(events) != 5 || next != events[4].Cursor {
		t.Fatalf("Events = %d events, %q, %v", len(events), next, err)
	}
	head := func(eventType, id string, sequence int) string {
		return fmt.Sprintf(`{"type":"session.%s","timestamp":"2026-11-23T08:15:30.123Z","data":{"session":"%s","endpoint":"smartid-sign","locale":"en","token":"%s","sequence":%d,`, eventType, id, token, sequence)
	}
	const seen = `"observed_at":"2026-11-23T08:15:29.123Z",`
	for i, want := range []string{
		head("pending", "ses_a", 1) + `"state":"pending","previous_state":null,"final":false,` + seen + `"http_status":200,"error_code":null,"message":null,"response":{"status":"waiting"},"file_omitted":false}}`,
		head("succeeded", "ses_a", 2) + `"state":"succeeded","previous_state":"pending","final":true,` + seen + `"http_status":200,"error_code":null,"message":null,"response":{"status":"ok","file":{"name":"a.pdf","digest":"abc"}},"file_omitted":true}}`,
		head("refused", "ses_b", 1) + `"state":"refused","previous_state":null,"final":true,` + seen + `"http_status":200,"error_code":40020,"message":"User refused <b>&","response":{"status":"error","message":"User refused <b>&","error_code":40020},"file_omitted":false}}`,
		head("abandoned", "ses_c", 1) + `"state":"pending","previous_state":null,"final":false,"observed_at":null,"http_status":null,"error_code":null,"message":null,"response":null,"file_omitted":false}}`,
		head("succeeded", "ses_d", 1) + `"state":"succeeded","previous_state":null,"final":true,` + seen + `"http_status":201,"error_code":null,"message":null,"response":{"status":"ok","a":1,"a":1.00,"b":"\ud800` + "\uFFFD" + `","file":{}},"file_omitted":true}}`,
	} {
		if got := string(events[i].Payload); got != want {
			t.Errorf("event %d:\n%s\nwant\n%s", i, got, want)
		}
		if !json.Valid(events[i].Payload) {
			t.Errorf("event %d is no JSON", i)
		}
	}
}

func TestAnEventOfATypeHappensOnce(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	b.subscribe(webhook.NewSubscription{URL: r.URL})
	published := make(chan bool)
	for range 10 {
		go func() {
			got, err := b.Changed(t.Context(), change("ses_a", session.Pending))
			if err != nil {
				t.Errorf("Changed = %v", err)
			}
			published <- got
		}()
	}
	n := 0
	for range 10 {
		if <-published {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 10 equal changes were published; want 1", n)
	}
	b.changed(change("ses_a", session.Succeeded))
	for _, state := range []session.State{session.Pending, session.Succeeded, session.Refused, session.NotFound} {
		if b.changed(change("ses_a", state)) {
			t.Errorf("%s was published after the final event", state)
		}
	}
	first := r.Wait(t, 2)
	b.reopen()
	if b.changed(change("ses_a", session.Succeeded)) {
		t.Error("the final event was published again after a restart")
	}
	b.changed(change("ses_b", session.Pending))
	if all := r.Wait(t, 3); len(all) != 3 || all[2].ID() == first[0].ID() || all[2].Data["session"] != "ses_b" {
		t.Errorf("%d webhooks; want one for each event", len(all))
	}
}

// TestFile: the document goes to those who ask for it, and to nobody else.
func TestFile(t *testing.T) {
	t.Parallel()
	with, without := testkit.NewReceiver(t, nil), testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) {
		b.options.Answer = finals(map[string]*session.Observation{
			"ses_a": observed(200, answers[session.Succeeded]),
			"ses_b": observed(200, "\xef\xbb\xbf{\"status\":\"ok\",\"who\":\"\xff\"}"),
		})
	}, with, without)
	b.subscribe(webhook.NewSubscription{URL: with.URL, IncludeFile: true, Events: []string{event.TypeSucceeded}})
	b.subscribe(webhook.NewSubscription{URL: without.URL, Events: []string{event.TypeSucceeded}})
	b.changed(change("ses_a", session.Succeeded))
	b.changed(change("ses_gone", session.Succeeded))
	b.changed(change("ses_b", session.Succeeded))
	seen := 0
	for _, got := range append(with.Wait(t, 3), without.Wait(t, 3)...) {
		if got.Data["session"] == "ses_b" && got.Data["file_omitted"] == false {
			if !strings.Contains(string(got.Body), `"response":{"status":"ok","who":"`+"\uFFFD"+`"},"file_omitted":false`) {
				t.Errorf("got %q", got.Body)
			}
			continue
		}
		wants := got.Data["session"] == "ses_a" && strings.Contains(got.Header.Get("Webhook-Id"), "evt_")
		if strings.Contains(string(got.Body), document) {
			seen++
			if !wants || got.Data["file_omitted"] != false || !strings.Contains(string(got.Body), answers[session.Succeeded]) {
				t.Errorf("a document in %s", got.Body)
			}
		} else if got.Data["file_omitted"] != true {
			t.Errorf("file_omitted = %v in %s", got.Data["file_omitted"], got.Body)
		}
	}
	if seen != 1 {
		t.Errorf("%d webhooks with a document; want 1", seen)
	}
}

// TestFilters: who gets what.
func TestFilters(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	account := b.AccountID("credential")
	subscribe := func(name string, n webhook.NewSubscription) {
		n.URL = r.URL + "/" + name
		n.Headers = map[string]string{"X-Name": name}
		b.subscribe(n)
	}
	subscribe("all", webhook.NewSubscription{})
	subscribe("finals", webhook.NewSubscription{Events: []string{event.TypeSucceeded}})
	subscribe("mobile", webhook.NewSubscription{Endpoints: []string{"mobile-sign"}})
	subscribe("account", webhook.NewSubscription{Account: "credential"})
	subscribe("session", webhook.NewSubscription{Session: "ses_b"})
	subscribe("operational", webhook.NewSubscription{Events: []string{event.TypeDisabled}})
	subscribe("disabled", webhook.NewSubscription{Disabled: true})
	subscribe("both", webhook.NewSubscription{Account: "credential", Session: "ses_a"})

	first := change("ses_a", session.Pending)
	first.Account = account
	b.changed(first)
	second := change("ses_b", session.Succeeded)
	second.Endpoint = "mobile-sign"
	b.changed(second)
	got := map[string]string{}
	for _, w := range r.Wait(t, 7) {
		got[w.Header.Get("X-Name")] += w.Data["session"].(string) + " "
	}
	for name, want := range map[string]int{"all": 2, "finals": 1, "mobile": 1, "account": 1, "session": 1, "both": 1, "operational": 0, "disabled": 0} {
		if n := strings.Count(got[name], " "); n != want {
			t.Errorf("%s got %d (%s); want %d", name, n, got[name], want)
		}
	}
	if got["account"] != "ses_a " || got["session"] != "ses_b " || got["both"] != "ses_a " {
		t.Errorf("got %v", got)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	const url = "https://example.com"
	subject := event.Subject{Session: "ses_a", Endpoint: "smartid-sign", Account: b.AccountID("mine")}
	for _, c := range []struct {
		name string
		n    webhook.NewSubscription
		want bool
	}{
		{"one that is disabled", webhook.NewSubscription{Disabled: true}, true},
		{"operational only", webhook.NewSubscription{Events: []string{event.TypeFailing}}, false},
		{"another endpoint", webhook.NewSubscription{Endpoints: []string{"mobile-sign"}}, false},
		{"another account", webhook.NewSubscription{Account: "theirs"}, false},
		{"another session", webhook.NewSubscription{Session: "ses_b"}, false},
		{"its session", webhook.NewSubscription{Session: "ses_a"}, true},
		{"its account", webhook.NewSubscription{Account: "mine"}, true},
		{"its endpoint", webhook.NewSubscription{Endpoints: []string{"smartid-sign"}}, true},
		{"everybody", webhook.NewSubscription{}, true},
		{"one type and operational", webhook.NewSubscription{Account: "mine", Events: []string{event.TypeFailing, event.TypeRefused}}, true},
	} {
		c.n.URL = url
		sub := b.subscribe(c.n)
		if got := b.Wanted(subject); got != c.want {
			t.Errorf("%s: Wanted = %v", c.name, got)
		}
		if err := b.Delete(t.Context(), sub.ID); err != nil {
			t.Error(err)
		}
		if b.Wanted(subject) {
			t.Errorf("%s: still wanted when it is deleted", c.name)
		}
	}
}

// TestCoverageGrows where sessions may be covered that were not, and only there: each time, whatever
// clients are answered is looked at once more.
func TestCoverageGrows(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	const url = "https://example.com"
	grows := func(what string, want bool, change func() error) {
		t.Helper()
		before := b.Coverage()
		testkit.NoError(t, change())
		if got := b.Coverage() > before; got != want {
			t.Errorf("%s: it grows: %t", what, got)
		}
	}
	var sub webhook.Subscription
	grows("a new one", true, func() error {
		sub = b.subscribe(webhook.NewSubscription{URL: url, Endpoints: []string{"mobile-sign"}})
		return nil
	})
	patch := func(what string, want bool, p webhook.SubscriptionPatch) {
		t.Helper()
		grows(what, want, func() error {
			_, err := b.Update(t.Context(), sub.ID, p)
			return err
		})
	}
	patch("another description", false, webhook.SubscriptionPatch{Description: new("it")})
	patch("disabled", false, webhook.SubscriptionPatch{Enabled: new(false)})
	patch("enabled", false, webhook.SubscriptionPatch{Enabled: new(true)})
	patch("another endpoint", true, webhook.SubscriptionPatch{Endpoints: &[]string{"smartid-sign"}})
	patch("another account", true, webhook.SubscriptionPatch{Account: new("mine")})
	patch("another session", true, webhook.SubscriptionPatch{Session: new("ses_aaaaaaaaaaaaaaaaaaaaaaaaaa")})
	patch("no events of sessions", false, webhook.SubscriptionPatch{Events: &[]string{event.TypeFailing}})
	patch("events of sessions again", true, webhook.SubscriptionPatch{Events: &[]string{event.TypeFailing, event.TypeRefused}})
	grows("rotated", false, func() error {
		_, err := b.RotateSecret(t.Context(), sub.ID)
		return err
	})
	grows("attached", false, func() error {
		_, err := b.Attach(t.Context(), subjectOf("ses_b"), webhook.AttachOptions{URL: url})
		return err
	})
	grows("one that is disabled", true, func() error {
		b.subscribe(webhook.NewSubscription{URL: url, Disabled: true})
		return nil
	})
	grows("deleted", false, func() error { return b.Delete(t.Context(), sub.ID) })
}

// TestRetriesUntilDead: every attempt is kept, and what is dead can be delivered again.
func TestRetriesUntilDead(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
		w.WriteHeader(500)
		fmt.Fprint(w, strings.Repeat("x", 100_000))
	})
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	d := b.ended(sub, delivery.Dead)
	if len(d.Attempts) != 3 || r.Count() != 3 || d.Type != event.TypeSucceeded || d.Session != "ses_a" || d.Reason == "" {
		t.Errorf("dead after %d attempts, %d requests: %+v", len(d.Attempts), r.Count(), d)
	}
	for _, a := range d.Attempts {
		if a.Status != 500 || a.Error != send.ErrorStatus || len(a.Answer) != 4096 || a.Duration <= 0 {
			t.Errorf("attempt %d %q with %d bytes", a.Status, a.Error, len(a.Answer))
		}
	}
	testkit.Eventually(t, "the dead are counted", func() bool { return b.metric("pollbridge_deliveries_dead", "") == 1 })
	if n := b.metric("pollbridge_deliveries_total", "retried"); n != 2 {
		t.Errorf("%v retries counted; want 2", n)
	}

	r.Set(nil)
	again, err := b.Redeliver(t.Context(), d.ID)
	if err != nil || again.State != delivery.Waiting {
		t.Fatalf("Redeliver = %+v, %v", again, err)
	}
	d = b.ended(sub, delivery.Delivered)
	all := r.Wait(t, 4)
	if len(d.Attempts) != 4 || all[0].ID() != all[3].ID() || all[0].ID() != d.Event {
		t.Errorf("delivered after %d attempts, ids %s and %s", len(d.Attempts), all[0].ID(), all[3].ID())
	}
	testkit.Eventually(t, "the dead are counted down", func() bool { return b.metric("pollbridge_deliveries_dead", "") == 0 })
	if dead := b.deliveriesOf(delivery.Filter{State: delivery.Dead}); len(dead) != 0 {
		t.Errorf("%d dead deliveries are listed", len(dead))
	}
	if _, err := b.Redeliver(t.Context(), d.ID); err != nil { // also what was delivered
		t.Error(err)
	}
	r.Wait(t, 5)
	if _, err := b.Redeliver(t.Context(), "dlv_nobody"); err != webhook.ErrNotFound {
		t.Errorf("Redeliver of nothing = %v", err)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	r, witness := testkit.NewReceiver(t, testkit.AnswerStatus(500)), testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = nil }, r, witness)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Endpoints: []string{"smartid-sign"}})
	b.changed(change("ses_long_ago", session.Succeeded))
	b.ended(sub, delivery.Dead)
	since := time.Now()
	b.changed(change("ses_dead", session.Succeeded))
	testkit.Eventually(t, "two are dead", func() bool { return len(b.deliveriesOf(delivery.Filter{State: delivery.Dead})) == 2 })
	r.Set(nil)
	b.changed(change("ses_delivered", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	if _, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Recover(t.Context(), sub.ID, since, ""); err != webhook.ErrDisabled {
		t.Errorf("Recover while disabled = %v", err)
	}
	b.changed(change("ses_missed", session.Succeeded))
	b.subscribe(webhook.NewSubscription{URL: witness.URL, Endpoints: []string{"mobile-sign"}})
	other := change("ses_other", session.Succeeded)
	other.Endpoint = "mobile-sign"
	b.changed(other)
	witness.Wait(t, 1) // so the one before has found nobody
	if _, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Enabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	before := r.Count()
	count, _, err := b.Recover(t.Context(), sub.ID, since, "")
	if count != 2 || err != nil {
		t.Errorf("Recover = %d, %v; want the dead one and the missed one", count, err)
	}
	sessions := ""
	for _, got := range r.Wait(t, before+2)[before:] {
		sessions += got.Data["session"].(string) + " "
	}
	if !strings.Contains(sessions, "ses_dead ") || !strings.Contains(sessions, "ses_missed ") {
		t.Errorf("recovered %s", sessions)
	}
}

// TestSuperseded: a pending event that failed is not repeated when the final one has
// arrived.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Type == event.TypePending {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
		}
	})
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Pending))
	b.ended(sub, delivery.Waiting)
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	if d := b.ended(sub, delivery.Superseded); len(d.Attempts) != 1 || d.Type != event.TypePending {
		t.Errorf("superseded after %d attempts: %s", len(d.Attempts), d.Type)
	}
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks; want 2", n)
	}
	r.Set(nil)
	if _, err := b.Redeliver(t.Context(), b.ended(sub, delivery.Superseded).ID); err != nil { // it was asked for
		t.Fatal(err)
	}
	if all := r.Wait(t, 3); all[2].Type != event.TypePending {
		t.Errorf("%s is delivered again", all[2].Type)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		value  string
		least  time.Duration
		most   time.Duration
	}{
		{503, "3600", time.Hour, time.Hour},
		{429, "3600", time.Hour, time.Hour},
		{502, "in an hour", 59 * time.Minute, time.Hour}, // as a date
		{504, "99999999999999999999", 24 * time.Hour, 24 * time.Hour},
		{504, "9223372036854775807", 24 * time.Hour, 24 * time.Hour},
		{503, "-1", 0, time.Second},
		{503, "Mon, 02 Jan 2006 15:04:05 GMT", 0, time.Second},
		{500, "3600", 0, time.Second},
		{404, "3600", 0, time.Second},
	} {
		t.Run(fmt.Sprint(c.status, c.value), func(t *testing.T) {
			t.Parallel()
			r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
				value := c.value
				if value == "in an hour" {
					value = time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
				}
				w.Header().Set("Retry-After", value)
				w.WriteHeader(c.status)
			})
			b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{3 * time.Second} }, r)
			sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
			b.changed(change("ses_a", session.Succeeded))
			var d delivery.Delivery
			testkit.Eventually(t, "an attempt was made", func() bool {
				d = b.ended(sub, delivery.Waiting)
				return len(d.Attempts) > 0
			})
			wait := d.Next.Sub(d.Attempts[0].At)
			if wait < c.least || wait > c.most+5*time.Second {
				t.Errorf("the next attempt is after %v; want %v to %v", wait, c.least, c.most)
			}
		})
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	r, listener := testkit.NewReceiver(t, testkit.AnswerStatus(410)), testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r, listener)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Events: []string{event.TypeSucceeded, event.TypeDisabled}})
	b.subscribe(webhook.NewSubscription{URL: listener.URL, Events: []string{event.TypeDisabled}})
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Dead)
	got, err := b.Get(t.Context(), sub.ID)
	if err != nil || got.Enabled || got.DisabledReason != webhook.DisabledGone || got.DisabledAt.IsZero() {
		t.Errorf("after 410: %+v, %v", got, err)
	}
	told := listener.Wait(t, 1)[0]
	if told.Type != event.TypeDisabled || told.Data["subscription"] != sub.ID || told.Data["reason"] != webhook.DisabledGone {
		t.Errorf("the listener got %s", told.Body)
	}
	b.changed(change("ses_b", session.Succeeded))
	b.changed(change("ses_b", session.Pending))
	if _, err := b.Redeliver(t.Context(), b.ended(sub, delivery.Dead).ID); err != webhook.ErrDisabled {
		t.Errorf("Redeliver = %v; want ErrDisabled", err)
	}
	if n := r.Count(); n != 1 {
		t.Errorf("%d webhooks to a receiver that is gone", n)
	}
}

// TestFailingIsToldAndDisabled: a warning at half time, then it is over; what was not
// delivered can be recovered.
func TestFailingIsToldAndDisabled(t *testing.T) {
	t.Parallel()
	r, listener := testkit.NewReceiver(t, testkit.AnswerStatus(500)), testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) {
		b.options.SetTimes(2*time.Second, 10*time.Millisecond)
		b.cfg.Retries = make([]time.Duration, 1000)
		for i := range b.cfg.Retries {
			b.cfg.Retries[i] = 20 * time.Millisecond
		}
		b.cfg.Retries = append(b.cfg.Retries, time.Minute) // so that no pause makes it begin anew
	}, r, listener)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Events: []string{event.TypeSucceeded, event.TypeFailing}})
	b.subscribe(webhook.NewSubscription{URL: listener.URL, Events: []string{event.TypeDisabled, event.TypeFailing}})
	b.changed(change("ses_a", session.Succeeded))
	d := b.ended(sub, delivery.Dead)
	told := listener.Wait(t, 2)
	if told[0].Type != event.TypeFailing || told[1].Type != event.TypeDisabled || told[0].Data["failing_since"] != told[1].Data["failing_since"] {
		t.Errorf("told %s and %s", told[0].Body, told[1].Body)
	}
	if got, err := b.Get(t.Context(), sub.ID); err != nil || got.Enabled || got.DisabledReason != webhook.DisabledFailing || got.FailingSince.IsZero() {
		t.Errorf("after all that: %+v, %v", got, err)
	}
	for _, got := range r.Got() {
		if got.Type != event.TypeSucceeded {
			t.Errorf("the failing one was told of itself: %s", got.Body)
		}
	}
	r.Set(nil)
	if got, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Enabled: new(true)}); err != nil || !got.Enabled || !got.FailingSince.IsZero() {
		t.Errorf("enabled again: %+v, %v", got, err)
	}
	if n, _, err := b.Recover(t.Context(), sub.ID, d.Created.Add(-time.Minute), ""); n != 1 || err != nil {
		t.Errorf("Recover = %d, %v", n, err)
	}
	b.ended(sub, delivery.Delivered)
	if n := listener.Count(); n != 2 {
		t.Errorf("%d operational events; want 2", n)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	old := b.subscribe(webhook.NewSubscription{URL: r.URL, Signature: "v1a"})
	fresh, err := b.RotateSecret(t.Context(), old.ID)
	if err != nil || fresh.Secret == old.Secret || fresh.PublicKey == old.PublicKey {
		t.Fatalf("RotateSecret = %+v, %v", fresh, err)
	}
	if left := time.Until(fresh.OldSecretUntil); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the old secret signs for %v more", left)
	}
	b.reopen()
	b.changed(change("ses_a", session.Pending))
	got := r.Wait(t, 1)[0]
	for _, key := range []string{old.Secret, old.PublicKey, fresh.Secret, fresh.PublicKey} {
		if err := signature.Verify(got.Header, got.Body, time.Now(), key); err != nil {
			t.Errorf("with %s…: %v", key[:6], err)
		}
	}
	if seen, err := b.Get(t.Context(), old.ID); err != nil || seen.Secret != "" {
		t.Errorf("Get shows a secret, or fails: %v", err)
	}
}

// TestRotationTwice: the first rotation's answer got lost, so its caller asks again.
// Receivers know the secret from before both.
func TestRotationTwice(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	known := []string{sub.Secret}
	for range 12 {
		fresh, err := b.RotateSecret(t.Context(), sub.ID)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, fresh.Secret)
	}
	b.changed(change("ses_a", session.Pending))
	got := r.Wait(t, 1)[0]
	for i, secret := range known {
		err := signature.Verify(got.Header, got.Body, time.Now(), secret)
		if signs := i >= len(known)-9; signs != (err == nil) {
			t.Errorf("with secret %d of %d: %v", i+1, len(known), err)
		}
	}
}

// TestRotationWhileDelivering: who knows the secret from before a rotation can verify
// whatever comes during and after it, and who knows the new one can from its answer on.
func TestRotationWhileDelivering(t *testing.T) {
	t.Parallel()
	var known, fresh atomic.Value
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if err := signature.Verify(got.Header, got.Body, time.Now(), known.Load().(string)); err != nil {
			t.Errorf("with the secret from before: %v", err)
		}
		if got.Type != event.TypeSucceeded {
			return
		}
		if err := signature.Verify(got.Header, got.Body, time.Now(), fresh.Load().(string)); err != nil {
			t.Errorf("after the rotation, with its secret: %v", err)
		}
	})
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	known.Store(sub.Secret)
	const rotations, events = 10, 20
	for i := range rotations {
		publish := func(state session.State) {
			for j := range events {
				b.changed(change(fmt.Sprintf("ses_%d_%d_%s", i, j, state), state))
			}
		}
		var publishing sync.WaitGroup
		publishing.Go(func() { publish(session.Refused) })
		rotated, err := b.RotateSecret(t.Context(), sub.ID)
		if err != nil {
			t.Fatal(err)
		}
		fresh.Store(rotated.Secret)
		publish(session.Succeeded)
		publishing.Wait()
		testkit.Eventually(t, "all are delivered", func() bool {
			return b.metric("pollbridge_deliveries_total", "delivered") == float64(2*(i+1)*events)
		})
		known.Store(rotated.Secret)
	}
}

// TestOneEventForMany: each of very many subscriptions hears of it, once.
func TestOneEventForMany(t *testing.T) {
	t.Parallel()
	const many = 200
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	secrets := map[string]string{}
	for i := range many {
		name := strconv.Itoa(i)
		secrets[name] = b.subscribe(webhook.NewSubscription{URL: r.URL, Headers: map[string]string{"X-Name": name}}).Secret
	}
	b.changed(change("ses_a", session.Succeeded))
	testkit.Eventually(t, "all are delivered", func() bool { return b.metric("pollbridge_deliveries_total", "delivered") == many })
	for _, got := range r.Got() {
		name := got.Header.Get("X-Name")
		if err := signature.Verify(got.Header, got.Body, time.Now(), secrets[name]); err != nil {
			t.Errorf("the webhook of subscription %s: %v", name, err)
		}
		delete(secrets, name)
	}
	if n := r.Count(); n != many || len(secrets) > 0 {
		t.Errorf("%d webhooks, and none for %d of %d subscriptions", n, len(secrets), many)
	}
}

func TestTestEvent(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) { w.WriteHeader(418); fmt.Fprint(w, "no coffee") })
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Disabled: true, Events: []string{event.TypeRefused}})
	a, err := b.Test(t.Context(), sub.ID)
	if err != nil || a.Status != 418 || a.Answer != "no coffee" || a.Succeeded() {
		t.Errorf("Test = %+v, %v", a, err)
	}
	if got := r.Wait(t, 1)[0]; got.Type != event.TypeTest || signature.Verify(got.Header, got.Body, time.Now(), sub.Secret) != nil {
		t.Errorf("the receiver got %s", got.Body)
	}
	// What a receiver that encodes anew would verify is not what was signed.
	var decoded any
	got := r.Got()[0]
	if err := json.Unmarshal(got.Body, &decoded); err != nil || !strings.HasSuffix(string(got.Body), `,"verbatim":{"slash":"\/","letter":"\u0117","number":1.0}}}`) {
		t.Errorf("%v in %s", err, got.Body)
	}
	anew, err := json.Marshal(decoded)
	if err != nil || signature.Verify(got.Header, anew, time.Now(), sub.Secret) == nil {
		t.Errorf("%v, and encoded anew it is verified: %s", err, anew)
	}
	if _, err := b.Test(t.Context(), "sub_nobody"); err != webhook.ErrNotFound {
		t.Errorf("Test of nobody = %v", err)
	}
}

// TestRedeliverBeforeTheRetry: nobody has to wait a day for it, and the retry that was
// scheduled does not come on top.
func TestRedeliverBeforeTheRetry(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{2 * time.Second} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	d := b.ended(sub, delivery.Waiting)
	r.Set(nil)
	if _, err := b.Redeliver(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if d = b.ended(sub, delivery.Delivered); len(d.Attempts) != 2 {
		t.Errorf("%d attempts; want 2", len(d.Attempts))
	}
	testkit.Eventually(t, "the scheduled retry is gone", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks; want 2", n)
	}
}

// TestRecordOfAForgottenEvent: the journal has forgotten an event, but not yet its
// delivery, when the same one is made again. It is delivered, once.
func TestRecordOfAForgottenEvent(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	b.subscribe(webhook.NewSubscription{URL: r.URL})
	delivered := func(n int) {
		testkit.Eventually(t, "it is delivered", func() bool { return b.metric("pollbridge_deliveries_total", "delivered") == float64(n) })
		if got := r.Count(); got != n {
			t.Errorf("%d webhooks came; want %d", got, n)
		}
	}
	b.changed(change("ses_a", session.Succeeded))
	delivered(1)
	events, err := b.store.Journal(t.Context(), store.JournalConfig{Name: "events", MaxAge: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Erase(t.Context(), "ses_a"); err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Succeeded))
	delivered(2)
}

// TestCaughtUpBeforeTheFanOut: what a subscription is caught up with is tried, in vain,
// before the fan-out comes to the event, which then adds nothing.
func TestCaughtUpBeforeTheFanOut(t *testing.T) {
	t.Parallel()
	const many = 100 // keep the fan-out busy
	others := testkit.NewReceiver(t, nil)
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Second} }, others, r)
	for range many {
		b.subscribe(webhook.NewSubscription{URL: others.URL, Session: "ses_a"})
	}
	b.changed(change("ses_a", session.Pending))
	b.changed(change("ses_a", session.Succeeded))
	b.changed(change("ses_b", session.Pending))
	if _, err := b.Attach(t.Context(), subjectOf("ses_b"), webhook.AttachOptions{URL: r.URL}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "all are over", func() bool {
		superseded := b.metric("pollbridge_deliveries_total", "superseded") // what came late
		return b.metric("pollbridge_deliveries_total", "delivered")+superseded == 2*many+1
	})
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks came; want one that was refused, and one more", n)
	}
}
