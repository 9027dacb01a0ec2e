package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestDocumentsWaitForRoom: few are loaded at a time, however many receivers want one,
// and none is loaded twice because there was no room for it.
func TestDocumentsWaitForRoom(t *testing.T) {
	t.Parallel()
	const receivers = 8
	var loading, most, loads atomic.Int64
	answer := make(chan struct{})
	r := testkit.NewReceiver(t, func(http.ResponseWriter, testkit.Webhook, int) { <-answer })
	b := newBridge(t, func(b *bridge) {
		b.options.SetBounds(1, 0) // one document at a time
		b.options.Answer = func(context.Context, string, time.Time) (*session.Observation, error) {
			loads.Add(1)
			for now := loading.Add(1); ; {
				if was := most.Load(); now <= was || most.CompareAndSwap(was, now) {
					break
				}
			}
			defer loading.Add(-1)
			time.Sleep(20 * time.Millisecond) // as it takes in truth
			return observed(200, answers[session.Succeeded]), nil
		}
	}, r)
	for range receivers {
		b.subscribe(webhook.NewSubscription{URL: r.URL, IncludeFile: true})
	}
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	time.AfterFunc(1500*time.Millisecond, func() { close(answer) }) // in which others could try again
	for _, got := range r.Wait(t, receivers) {
		if !strings.Contains(string(got.Body), document) {
			t.Errorf("without the document: %s", got.Body)
		}
	}
	if loads.Load() != receivers || most.Load() > 2 {
		t.Errorf("loaded %d times, %d at a time; want %d, no more than 2", loads.Load(), most.Load(), receivers)
	}
}

// TestCloseWhileDocumentsWait: what waits for room holds up nobody.
func TestCloseWhileDocumentsWait(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			<-answer
		}
	})
	t.Cleanup(func() { close(answer) }) // before the receiver closes, which waits for it
	b := newBridge(t, func(b *bridge) {
		b.cfg.Timeout = time.Minute
		b.options.SetBounds(1, 0)
		b.options.Answer = finals(map[string]*session.Observation{"ses_a": observed(200, answers[session.Succeeded])})
	}, r)
	for range 4 {
		b.subscribe(webhook.NewSubscription{URL: r.URL, IncludeFile: true})
	}
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	start := time.Now()
	b.close()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("Close took %v", took)
	}
	b.open()
	r.Wait(t, 5)
}

// TestADocumentThatCannotBeReadNow: its delivery waits for it; what nobody has, or can
// read any more, is left out.
func TestADocumentThatCannotBeReadNow(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) {
		b.options.Answer = func(_ context.Context, id string, _ time.Time) (*session.Observation, error) {
			switch {
			case id == "ses_none":
				return nil, fmt.Errorf("no such session: %w", store.ErrNotFound)
			case id == "ses_damaged":
				return nil, fmt.Errorf("its record: %w", store.ErrDamaged)
			case asked.Add(1) < 4:
				return nil, errors.New("the engine is being started anew")
			}
			return observed(200, answers[session.Succeeded]), nil
		}
	}, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, IncludeFile: true})
	sessions := []string{"ses_later", "ses_none", "ses_damaged"}
	for _, id := range sessions {
		b.changed(change(id, session.Succeeded))
	}
	for _, got := range r.Wait(t, len(sessions)) {
		id := got.Data["session"].(string)
		if whole := strings.Contains(string(got.Body), document); whole != (id == "ses_later") || got.Data["file_omitted"] == whole {
			t.Errorf("got %s", got.Body)
		}
	}
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == len(sessions)
	})
	if n := r.Count(); n != len(sessions) {
		t.Errorf("%d webhooks; want %d", n, len(sessions))
	}
}
