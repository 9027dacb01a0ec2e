package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
)

func TestFieldErrors(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	sub := b.subscribe(webhook.NewSubscription{URL: "https://example.com"})
	header := func(name, value string) webhook.NewSubscription {
		return webhook.NewSubscription{Headers: map[string]string{name: value}}
	}
	for _, c := range []struct {
		n    webhook.NewSubscription
		want string
	}{
		{webhook.NewSubscription{URL: "ftp://x"}, "url"},
		{webhook.NewSubscription{URL: "https://10.0.0.1"}, "url"},
		{webhook.NewSubscription{Events: []string{"session.pending", "session.done"}}, "events[1]"},
		{webhook.NewSubscription{Events: []string{"session.pending", "session.pending"}}, "events[1]"},
		{webhook.NewSubscription{Endpoints: []string{"nope"}}, "endpoints[0]"},
		{webhook.NewSubscription{Session: "a.b"}, "session"},
		{webhook.NewSubscription{Session: "ses_*"}, "session"},
		{webhook.NewSubscription{Signature: "v2"}, "signature"},
		{webhook.NewSubscription{Description: strings.Repeat("x", 501)}, "description"},
		{header("Host", "x"), "headers.Host"},
		{header("content-length", "1"), "headers.content-length"},
		{header("Webhook-Id", "1"), "headers.Webhook-Id"},
		{header("WEBHOOK-SIGNATURE", "1"), "headers.WEBHOOK-SIGNATURE"},
		{header("Transfer-Encoding", "chunked"), "headers.Transfer-Encoding"},
		{header("Connection", "close"), "headers.Connection"},
		{header("a b", "x"), "headers"},
		{header("", "x"), "headers"},
		{header("X-A", "hunter2\r\nX-B: c"), "headers.X-A"},
		{header("X-A", strings.Repeat("hunter2", 1000)), "headers.X-A"},
		{webhook.NewSubscription{Headers: map[string]string{"X-A": "1", "x-a": "2"}}, "headers.x-a"},
		{header("X-A", "***"), "headers.X-A"},
	} {
		if c.n.URL == "" {
			c.n.URL = "https://example.com"
		}
		_, creating := b.Create(t.Context(), c.n)
		_, updating := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{
			URL: &c.n.URL, Events: &c.n.Events, Endpoints: &c.n.Endpoints, Session: &c.n.Session,
			Headers: &c.n.Headers, Description: &c.n.Description, Signature: new(orV1(c.n.Signature)),
		})
		for _, err := range []error{creating, updating} {
			field := new(webhook.FieldError)
			if !errors.As(err, &field) || field.Field != c.want || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%+v: %v; want an error of %s", c.n, err, c.want)
			}
		}
	}
	if got, err := b.Get(t.Context(), sub.ID); err != nil || got.URL != "https://example.com" || !got.Updated.Equal(sub.Updated) {
		t.Errorf("after refused changes: %+v, %v", got, err)
	}
}

// TestEveryFieldErrorIsTold at once, also before anything is asked for.
func TestEveryFieldErrorIsTold(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	const rest = "events[0] events[2] endpoints[0] session signature description headers headers.Host headers.Te"
	v := webhook.Subscription{
		Events: []string{"nope", "session.pending", "session.pending"}, Endpoints: []string{"nope"}, Session: "ses_*",
		Signature: "v2", Description: strings.Repeat("x", 501), Headers: map[string]string{"Host": "x", "Te": "x", "\n": "x", "X-A": "x"},
	}
	_, creating := b.Create(t.Context(), webhook.NewSubscription{
		URL: "ftp://x", Events: v.Events, Endpoints: v.Endpoints, Session: v.Session, Signature: v.Signature, Description: v.Description, Headers: v.Headers,
	})
	for what, test := range map[string]struct {
		err  error
		want string
	}{
		"Create":         {creating, "url " + rest},
		"Check":          {b.Check(v), rest},
		"Check, a URL":   {b.Check(webhook.Subscription{URL: "ftp://x", Secret: "x"}), "url secret"},
		"Check, nothing": {b.Check(webhook.Subscription{}), ""},
	} {
		var got []string
		for _, err := range unjoined(test.err) {
			if field, ok := errors.AsType[*webhook.FieldError](err); ok {
				got = append(got, field.Field)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q; want %s", what, got, test.want)
		}
	}
}

// unjoined are the errors that err joins, at any depth.
func unjoined(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, err := range joined.Unwrap() {
		all = append(all, unjoined(err)...)
	}
	return all
}

func orV1(signature string) string {
	if signature == "" {
		return "v1"
	}
	return signature
}

func TestSubscriptionsAreKept(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	var made []webhook.Subscription
	for i := range 5 {
		made = append(made, b.subscribe(webhook.NewSubscription{
			URL: fmt.Sprintf("https://example.com/%d", i), Description: "d", Account: "credential",
			Headers: map[string]string{"X-Key": "hunter2"}, Events: []string{event.TypePending},
		}))
	}
	changed, err := b.Update(t.Context(), made[1].ID, webhook.SubscriptionPatch{
		URL: new("https://example.org"), Events: &[]string{}, Signature: new("v1a"), Account: new(""), Enabled: new(false),
	})
	if err != nil || changed.URL != "https://example.org" || changed.PublicKey == "" || changed.Enabled || changed.DisabledReason != webhook.DisabledByRequest {
		t.Errorf("Update = %+v, %v", changed, err)
	}
	if err := b.Delete(t.Context(), made[2].ID); err != nil {
		t.Error(err)
	}
	b.reopen()
	page, next, err := b.List(t.Context(), "", 3)
	if err != nil || len(page) != 3 || next != page[2].ID || page[0].ID != made[4].ID {
		t.Fatalf("List = %d, %q, %v", len(page), next, err)
	}
	rest, next, err := b.List(t.Context(), next, 3)
	if err != nil || len(rest) != 1 || next != "" || rest[0].ID != made[0].ID {
		t.Errorf("the rest: %d, %q, %v", len(rest), next, err)
	}
	got, err := b.Get(t.Context(), made[0].ID)
	if err != nil || got.Secret != "" || got.Headers["X-Key"] != "***" || got.Account != b.AccountID("credential") || got.Description != "d" {
		t.Errorf("Get = %+v, %v", got, err)
	}
	if got, err := b.Get(t.Context(), made[1].ID); err != nil || got.URL != "https://example.org" || got.Account != "" {
		t.Errorf("Get of the changed one = %+v, %v", got, err)
	}
	for _, id := range []string{made[2].ID, "sub_x", "", "a.b", "*", ">"} {
		_, getting := b.Get(t.Context(), id)
		_, updating := b.Update(t.Context(), id, webhook.SubscriptionPatch{})
		_, rotating := b.RotateSecret(t.Context(), id)
		_, testing := b.Test(t.Context(), id)
		_, _, recovering := b.Recover(t.Context(), id, time.Time{}, "")
		for _, err := range []error{getting, updating, rotating, testing, recovering, b.Delete(t.Context(), id)} {
			if !errors.Is(err, webhook.ErrNotFound) {
				t.Errorf("%q: %v; want ErrNotFound", id, err)
			}
		}
	}
}

// TestDeleteWithWork: what waits for a subscription goes with it, and is listed.
func TestDeleteWithWork(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Waiting)
	testkit.Eventually(t, "it waits for its retry", func() bool {
		st, err := b.Stats(t.Context())
		return err == nil && st.BacklogLater == 1 && st.BacklogNow == 0
	})
	if err := b.Delete(t.Context(), sub.ID); err != nil {
		t.Fatal(err)
	}
	if n := b.metric("pollbridge_delivery_backlog", ""); n != 0 {
		t.Errorf("%v still wait", n)
	}
	d := b.deliveriesOf(delivery.Filter{Subscription: sub.ID})
	if len(d) != 1 || d[0].State != delivery.Dead || d[0].Reason == "" {
		t.Errorf("deliveries = %+v", d)
	}
	if _, err := b.Redeliver(t.Context(), d[0].ID); err != webhook.ErrEnded {
		t.Errorf("Redeliver = %v; want that there is nobody to deliver to", err)
	}
}

func TestDeliveryLists(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if strings.HasSuffix(got.Data["session"].(string), "3") {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = nil }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for i := range 20 {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	// Until then one that changes goes to the front, where pages that are read on do not see it.
	testkit.Eventually(t, "all are over", func() bool {
		return len(b.deliveriesOf(delivery.Filter{State: delivery.Delivered})) == 18 && len(b.deliveriesOf(delivery.Filter{State: delivery.Dead})) == 2
	})
	seen := map[string]bool{}
	for next, pages := "", 0; ; pages++ {
		page, after, err := b.Deliveries(t.Context(), delivery.Filter{Subscription: sub.ID}, next, 7)
		if err != nil || len(page) > 7 || pages > 4 {
			t.Fatalf("page %d: %d, %v", pages, len(page), err)
		}
		for _, d := range page {
			if seen[d.ID] {
				t.Errorf("%s is listed twice", d.ID)
			}
			seen[d.ID] = true
		}
		if next = after; next == "" {
			break
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d were listed; want 20", len(seen))
	}
	if d := b.deliveriesOf(delivery.Filter{Session: "ses_3"}); len(d) != 1 || d[0].State != delivery.Dead {
		t.Errorf("of ses_3: %+v", d)
	} else if got, err := b.Delivery(t.Context(), d[0].ID); err != nil || got.ID != d[0].ID || len(got.Attempts) != 1 {
		t.Errorf("Delivery = %+v, %v", got, err)
	}
	for _, c := range []struct {
		f      delivery.Filter
		before string
		want   string
	}{
		{delivery.Filter{State: "done"}, "", "state"},
		{delivery.Filter{Subscription: "*"}, "", "subscription"},
		{delivery.Filter{Session: "a.>"}, "", "session"},
		{delivery.Filter{}, "x", "before"},
	} {
		_, _, err := b.Deliveries(t.Context(), c.f, c.before, 10)
		if field := new(webhook.FieldError); !errors.As(err, &field) || field.Field != c.want {
			t.Errorf("%+v: %v; want an error of %s", c, err, c.want)
		}
	}
	for _, id := range []string{"dlv_x", "*", ">", "a.b", ""} {
		if _, err := b.Delivery(t.Context(), id); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("Delivery(%q) = %v", id, err)
		}
	}
}

func TestEventsArePulled(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	start, err := b.NewestEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	page, next, err := b.Events(t.Context(), start, 3, 0)
	if err != nil || len(page) != 3 {
		t.Fatalf("Events = %d, %v", len(page), err)
	}
	page, next, err = b.Events(t.Context(), next, 3, 0)
	if err != nil || len(page) != 2 || page[1].Subject != "ses_4" || page[1].Type != event.TypeSucceeded {
		t.Fatalf("then %d, %v", len(page), err)
	}
	if page, same, err := b.Events(t.Context(), next, 3, 0); err != nil || len(page) != 0 || same != next {
		t.Errorf("at the end: %d, %q, %v", len(page), same, err)
	}
	got := make(chan int)
	go func() {
		page, _, err := b.Events(t.Context(), next, 3, testkit.Timeout)
		if err != nil {
			t.Errorf("waiting: %v", err)
		}
		got <- len(page)
	}()
	b.changed(change("ses_new", session.Pending))
	if n := <-got; n != 1 {
		t.Errorf("waited for %d events; want 1", n)
	}
	if _, _, err := b.Events(t.Context(), "x", 3, 0); err == nil {
		t.Error("a cursor that is none was taken")
	}
}

// TestNoSecretIsLogged: at any level, in any error, in any metric.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		w.WriteHeader([]int{500, 302, 410}[min(n-1, 2)])
		fmt.Fprint(w, "answer-of-the-receiver")
	})
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{
		URL: r.URL + "/path-secret?q=query-secret", Headers: map[string]string{"Authorization": "Bearer header-secret"}, Account: "account-secret", Signature: "v1a",
	})
	c := change("ses_a", session.Succeeded)
	c.Account = b.AccountID("account-secret")
	b.changed(c)
	b.ended(sub, delivery.Dead)
	unreachable := b.subscribe(webhook.NewSubscription{URL: strings.Replace(r.URL, "127.0.0.1", "127.0.0.99", 1) + "/path-secret"})
	r.Close()
	a, err := b.Test(t.Context(), unreachable.ID)
	if err != nil || a.Error != send.ErrorConnect {
		t.Errorf("Test = %+v, %v", a, err)
	}
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	text := b.log.String() + fmt.Sprint(families) + a.Detail
	if !strings.Contains(text, sub.ID) {
		t.Error("the log does not name the subscription")
	}
	for _, secret := range []string{
		"path-secret", "query-secret", "header-secret", "account-secret", strings.TrimPrefix(sub.Secret, "whsec_"),
		document, token[:9], "answer-of-the-receiver", "whsk_", "whsec_",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}

// TestHeadersComeBackMasked: whoever changes what was shown keeps what was not.
func TestHeadersComeBackMasked(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Headers: map[string]string{"Authorization": "Bearer mine", "X-Old": "1"}})
	shown := b.seen(sub).Headers
	delete(shown, "X-Old")
	shown["X-New"] = "2"
	got, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Headers: &shown})
	if err != nil || got.Headers["Authorization"] != "***" || got.Headers["X-New"] != "***" || len(got.Headers) != 2 || shown["X-New"] != "2" {
		t.Fatalf("Update = %+v, %v", got.Headers, err)
	}
	shown["X-Other"] = "***"
	field := new(webhook.FieldError)
	if _, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Headers: &shown}); !errors.As(err, &field) || field.Field != "headers.X-Other" {
		t.Errorf("a mask of nothing: %v", err)
	}
	b.changed(change("ses_a", session.Pending))
	header := r.Wait(t, 1)[0].Header
	if header.Get("Authorization") != "Bearer mine" || header.Get("X-New") != "2" || header.Get("X-Old") != "" {
		t.Errorf("sent %q, %q, %q", header.Get("Authorization"), header.Get("X-New"), header.Get("X-Old"))
	}
}

// TestAttachedStaysWhereItIs: what waits for an attached subscription is about its session,
// and where the host of its receiver is served.
func TestAttachedStaysWhereItIs(t *testing.T) {
	t.Parallel()
	b := newBridge(t, nil)
	ctx := t.Context()
	sub, err := b.Attach(ctx, subjectOf("ses_a"), webhook.AttachOptions{URL: "https://hooks.example/a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		patch webhook.SubscriptionPatch
		field string // that is wrong; empty: none
	}{
		{"another session", webhook.SubscriptionPatch{Session: new("ses_b")}, "session"},
		{"no session", webhook.SubscriptionPatch{Session: new("")}, "session"},
		{"another host", webhook.SubscriptionPatch{URL: new("https://other.example/a")}, "url"},
		{"another port", webhook.SubscriptionPatch{URL: new("https://hooks.example:8443/a")}, "url"},
		{"another scheme", webhook.SubscriptionPatch{URL: new("http://hooks.example/a")}, "url"},
		{"no URL", webhook.SubscriptionPatch{URL: new("x")}, "url"},
		{"the same", webhook.SubscriptionPatch{Session: new("ses_a"), URL: new("https://HOOKS.example/a")}, ""},
		{"another path", webhook.SubscriptionPatch{URL: new("https://hooks.example/b")}, ""},
	} {
		_, err := b.Update(ctx, sub.ID, c.patch)
		wrong, _ := errors.AsType[*webhook.FieldError](err)
		if (err == nil) != (c.field == "") || err != nil && (wrong == nil || wrong.Field != c.field) {
			t.Errorf("%s: %v; want %q", c.name, err, c.field)
		}
	}
	if got, err := b.Get(ctx, sub.ID); err != nil || got.Session != "ses_a" || got.URL != "https://hooks.example/b" {
		t.Errorf("Get = %+v, %v", got, err)
	}
	free := b.subscribe(webhook.NewSubscription{URL: "https://hooks.example/", Session: "ses_a"})
	if _, err := b.Update(ctx, free.ID, webhook.SubscriptionPatch{Session: new("ses_b"), URL: new("https://other.example/")}); err != nil {
		t.Errorf("one that is not attached: %v", err)
	}
}
