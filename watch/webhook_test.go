package watch_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// hooked is a lab whose events are the real ones.
type hooked struct {
	*lab
	service *webhook.Service
}

func (l *hooked) start() {
	l.t.Helper()
	log := l.log.Logger(slog.LevelInfo)
	registry := prometheus.NewRegistry()
	l.prepare()
	events, err := event.Open(l.t.Context(), event.Options{Store: l.store.Store, History: time.Hour, Log: log, Registry: registry})
	testkit.NoError(l.t, err)
	l.service, err = webhook.New(l.t.Context(), webhook.DefaultConfig(), webhook.Options{
		Store: l.store.Store, Events: events, Log: log, Registry: registry, UserAgent: "pollbridge/test", Endpoints: []string{"smartid-sign"}, History: time.Hour,
	})
	testkit.NoError(l.t, err)
	l.w.Close()
	l.w, err = watch.New(l.cfg, watch.Options{
		Store: l.store.Store, Table: l.table, Events: l.service, Finals: l.finals, Ask: l.ask, Erase: l.erase, Retain: time.Minute, Log: log, Registry: registry,
	})
	testkit.NoError(l.t, err)
	testkit.NoError(l.t, l.w.Start())
}

func (l *hooked) stop() {
	l.w.Close()
	l.service.Close(time.Second)
	l.schedule.Close()
	testkit.NoError(l.t, l.store.Close())
}

// types are those of all events so far.
func (l *hooked) types() (types []string) {
	l.t.Helper()
	page, _, err := l.service.Events(l.t.Context(), "", 100, 0)
	testkit.NoError(l.t, err)
	for _, e := range page {
		types = append(types, strings.TrimPrefix(e.Type, "session."))
	}
	return types
}

// TestEventsOfTheRealService: one of each type whatever happens, and none after Delete.
func TestEventsOfTheRealService(t *testing.T) {
	t.Parallel()
	l := &hooked{lab: unopened(t)}
	l.start()
	v := l.variant("tok")
	l.say("tok", session.Pending)
	l.w.Observe(v, observation(session.Pending))
	if types := l.types(); len(types) != 0 {
		t.Errorf("nobody wants to know, but there are %v", types)
	}
	_, err := l.service.Create(t.Context(), webhook.NewSubscription{URL: "https://hook.example.com/", Account: secret})
	testkit.NoError(t, err)
	l.w.Observe(v, observation(session.Pending))
	testkit.Eventually(t, "the event of the first sight", func() bool { return slices.Equal(l.types(), []string{"pending"}) })
	l.awaitQuestions("tok", 2)
	l.stop()
	l.start()
	l.awaitQuestions("tok", 2)
	l.say("tok", session.Succeeded)
	testkit.Eventually(t, "the end", func() bool { return slices.Equal(l.types(), []string{"pending", "succeeded"}) })
	testkit.Eventually(t, "the end of the watch", func() bool { return l.w.Live() == 0 })
	l.w.Observe(v, observation(session.Succeeded))
	if types := l.types(); !slices.Equal(types, []string{"pending", "succeeded"}) {
		t.Errorf("in the end: %v", types)
	}
	testkit.NoError(t, l.w.Delete(t.Context(), l.w.Subject(v).Session))
	if types := l.types(); len(types) != 0 {
		t.Errorf("after Delete there are %v", types)
	}
	l.stop()
}

// TestAbandonedByTheRealService: and seen to succeed after all.
func TestAbandonedByTheRealService(t *testing.T) {
	t.Parallel()
	l := &hooked{lab: unopened(t, func(l *lab) { l.cfg.Deadline = 100 * time.Millisecond })}
	l.start()
	defer l.stop()
	l.say("tok", session.Pending)
	_, err := l.w.Watch(t.Context(), l.variant("tok"))
	testkit.NoError(t, err)
	testkit.Eventually(t, "the deadline", func() bool { return slices.Equal(l.types(), []string{"pending", "abandoned"}) })
	_, err = l.service.Create(t.Context(), webhook.NewSubscription{URL: "https://hook.example.com/"})
	testkit.NoError(t, err)
	l.w.Observe(l.variant("tok"), observation(session.Succeeded))
	if types := l.types(); !slices.Equal(types, []string{"pending", "abandoned", "succeeded"}) {
		t.Errorf("seen to succeed after all: %v", types)
	}
}

// TestAfterRetainNothingIsToldAgain: what is asked anew after everything but its events
// was forgotten makes no event, and so no delivery, whatever the answers are then.
func TestAfterRetainNothingIsToldAgain(t *testing.T) {
	t.Parallel()
	l := &hooked{lab: unopened(t)}
	l.start()
	defer l.stop()
	_, err := l.service.Create(t.Context(), webhook.NewSubscription{URL: "https://hook.example.com/"})
	testkit.NoError(t, err)
	v := l.variant("tok")
	l.say("tok", session.Pending)
	l.w.Observe(v, observation(session.Pending))
	l.w.Observe(v, observation(session.Succeeded))
	testkit.Eventually(t, "the end of the watch", func() bool { return l.w.Live() == 0 })
	want := []string{"pending", "succeeded"}
	for _, later := range [][]session.State{{session.Succeeded}, {session.Refused}, {session.Pending, session.Succeeded}, {session.Succeeded}} {
		testkit.NoError(t, l.w.Forget(t.Context(), l.w.Subject(v).Session))
		if later[0] == session.Refused { // memory of the process knows of no event either
			l.stop()
			l.start()
		}
		for _, state := range later {
			l.say("tok", state)
			l.w.Observe(v, observation(state))
		}
		testkit.Eventually(t, "the end of the watch", func() bool { return l.w.Live() == 0 })
		if types := l.types(); !slices.Equal(types, want) {
			t.Errorf("after %v there are %v; want %v", later, types, want)
		}
	}
}
