package webhook_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// told are the messages about receivers that operators see, in their order.
func told(log *testkit.LogBuffer) (messages []string) {
	for _, found := range regexp.MustCompile(`level=(?:INFO|WARN|ERROR) msg="(webhook [^"]*)"`).FindAllStringSubmatch(log.String(), -1) {
		messages = append(messages, found[1])
	}
	return messages
}

// toldInTheEnd waits for the last of some messages, and wants no others.
func (b *bridge) toldInTheEnd(want ...string) {
	b.t.Helper()
	testkit.Eventually(b.t, want[len(want)-1], func() bool { return len(told(b.log)) >= len(want) })
	if got := told(b.log); strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWhatTheLogTellsOfAReceiver: each change, with the subscription and the host, and
// nothing else of the URL.
func TestWhatTheLogTellsOfAReceiver(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL + "/path-of-mine?key=of-mine"})
	n := 0
	events := func(count int) {
		for range count {
			n++
			b.changed(change(fmt.Sprintf("ses_%d", n), session.Succeeded))
		}
	}
	want := []string{"webhook receiver is failing", "webhook deliveries are given up after their last retry"}
	events(1)
	b.toldInTheEnd(want...)

	r.Set(testkit.AnswerStatus(503))
	events(1)
	want = append(want, "webhook receiver is failing in another way")
	b.toldInTheEnd(want...)

	events(3)
	want = append(want, "webhook receiver keeps failing, attempts are held back")
	b.toldInTheEnd(want...)

	r.Set(nil)
	events(1) // the others may have been given up
	want = append(want, "webhook receiver has recovered")
	b.toldInTheEnd(want...)

	b.ended(sub, delivery.Delivered)
	r.Set(testkit.AnswerStatus(410))
	events(1)
	want = append(want, "webhook subscription disabled")
	b.toldInTheEnd(want...)

	log := b.log.String()
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, `msg="webhook `) && !(strings.Contains(line, "subscription="+sub.ID) && (strings.Contains(line, "host=127.0.0.1 ") || strings.Contains(line, "level=DEBUG"))) {
			t.Errorf("a line names no subscription or no host: %s", line)
		}
	}
	if !strings.Contains(log, `detail="answered 500"`) || !strings.Contains(log, `detail="answered 503"`) {
		t.Error("the log does not tell what was answered")
	}
	if strings.Contains(log, "of-mine") || strings.Contains(log, sub.Secret) {
		t.Error("the log tells of the URL's path, its query or the secret")
	}
}

// TestAFlappingReceiverDoesNotFillTheLog: it works every other time.
func TestAFlappingReceiverDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		if n%2 == 1 {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries, b.cfg.Concurrency = nil, 1 }, r)
	b.subscribe(webhook.NewSubscription{URL: r.URL})
	for i := range 60 {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	testkit.Eventually(t, "all are over", func() bool {
		return b.metric("pollbridge_deliveries_total", "delivered")+b.metric("pollbridge_deliveries_total", "dead") == 60
	})
	if got := told(b.log); len(got) < 2 || len(got) > 7 { // a minute may have passed
		t.Errorf("%d lines: %s", len(got), strings.Join(got, "\n"))
	}
}

// TestAFailingReceiverAfterARestart: what began before is told again, and so is its end.
func TestAFailingReceiverAfterARestart(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = nil }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.fails(sub)
	b.age(sub, 2*time.Minute)
	b.fails(sub) // durable from here on
	want := []string{"webhook receiver is failing", "webhook deliveries are given up after their last retry"}
	b.reopen()
	b.fails(sub)
	b.toldInTheEnd(append(want, want...)...)
	b.close()
	r.Set(nil)
	b.open()
	b.changed(change("ses_works", session.Succeeded))
	b.toldInTheEnd(append(append(want, want...), "webhook receiver has recovered")...)
}
