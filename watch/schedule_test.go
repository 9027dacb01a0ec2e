package watch_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/watch/hazard"
)

// adaptive is a schedule with the default bounds.
func adaptive(t *testing.T, s *store.Store, replica string, log *testkit.LogBuffer) *watch.Schedule {
	t.Helper()
	cfg := watch.DefaultConfig()
	cfg.Schedule = watch.Adaptive
	schedule, err := watch.NewSchedule(cfg, watch.ScheduleOptions{Endpoints: []string{"smartid-sign"}, Store: s, Replica: replica, Log: log.Logger(slog.LevelInfo)})
	testkit.NoError(t, err)
	t.Cleanup(schedule.Close)
	return schedule
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, s.Close()) })
	return s.Store
}

// signedAt has a schedule learn that sessions end at an age, more or less.
func signedAt(s *watch.Schedule, v *session.Variant, n int, age time.Duration) {
	for range n {
		over := age + time.Duration(rand.NormFloat64()*float64(2*time.Second))
		s.Ended(v, over-time.Second, over)
	}
}

// wantLearnt wants polls to be seldom at 10 s and frequent at 30 s.
func wantLearnt(t *testing.T, s *watch.Schedule, v *session.Variant) {
	t.Helper()
	if early, then := s.Gap(v, 10*time.Second, false), s.Gap(v, 30*time.Second, false); early < 4*time.Second || then > 1500*time.Millisecond {
		t.Errorf("gap at 10s is %v, at 30s %v", early, then)
	}
}

func TestScheduleIsFixedUntilItHasLearnt(t *testing.T) {
	t.Parallel()
	s, v := adaptive(t, nil, "", &testkit.LogBuffer{}), variant(t, "tok")
	for _, age := range []time.Duration{0, time.Second, time.Minute, time.Hour} {
		if gap := s.Gap(v, age, false); (gap - time.Second).Abs() > time.Millisecond {
			t.Errorf("gap at %v is %v", age, gap)
		}
	}
	if gap := s.Gap(v, time.Minute, true); gap > 720*time.Millisecond || gap < 700*time.Millisecond {
		t.Errorf("gap is %v while somebody waits, want 1s by the square root of 2", gap)
	}
	signedAt(s, v, 200, 30*time.Second)
	testkit.Eventually(t, "a curve that was learnt", func() bool { return s.Gap(v, 10*time.Second, false) > 4*time.Second })
	wantLearnt(t, s, v)
}

// TestWhatWasLearntSurvives: a restart, and whatever has become of the record.
func TestWhatWasLearntSurvives(t *testing.T) {
	t.Parallel()
	opened, v, log := openStore(t), variant(t, "tok"), &testkit.LogBuffer{}
	first := adaptive(t, opened, "", log)
	signedAt(first, v, 200, 30*time.Second)
	for range 10 {
		first.EndedSinceStart(v, time.Minute, time.Minute+time.Second)
	}
	first.Close()
	second := adaptive(t, opened, "", log)
	wantLearnt(t, second, v)
	if curves := second.Curves(); curves[0].Sessions != 200 || curves[1].Sessions != 10 {
		t.Errorf("%v sessions are known by sight and %v by their start, want 200 and 10", curves[0].Sessions, curves[1].Sessions)
	}
	ofAnotherVersion := first.Form()
	ofAnotherVersion[0]++
	for _, damaged := range [][]byte{nil, {99}, {1, 200}, {1, 1, 'a', 0, 1, 7}, ofAnotherVersion} {
		testkit.NoError(t, second.ForgetStored(t.Context(), "alone", damaged))
		third := adaptive(t, opened, "", log)
		if here, _ := third.Learnt(v); here != 0 {
			t.Errorf("%v sessions were learnt from of %v", here, damaged)
		}
		if !strings.Contains(log.String(), "it is learnt anew") {
			t.Errorf("the log says nothing of %v: %s", damaged, log)
		}
	}
}

// TestReplicasLearnAsOne: what some have seen all know, and it outlives them.
func TestReplicasLearnAsOne(t *testing.T) {
	t.Parallel()
	opened, v, log := openStore(t), variant(t, "tok"), &testkit.LogBuffer{}
	var replicas []*watch.Schedule
	for i := range 3 {
		replicas = append(replicas, adaptive(t, opened, fmt.Sprint("r", i), log))
	}
	for _, s := range replicas[:2] {
		signedAt(s, v, 100, 30*time.Second)
	}
	for range 2 {
		for _, s := range replicas {
			s.Exchange(t.Context())
		}
	}
	for i, s := range replicas {
		wantLearnt(t, s, v)
		if here, others := s.Learnt(v); here+others != 200 {
			t.Errorf("replica %d knows of %v and %v sessions, want 200 in all", i, here, others)
		}
		if n := s.Curves()[0].Sessions; n != 200 {
			t.Errorf("replica %d shows %v sessions, want 200", i, n)
		}
	}
	replicas[0].Close()
	replicas[1].Close()
	later := adaptive(t, opened, "r3", log)
	wantLearnt(t, later, v)
	replicas[2].Close()
	testkit.Eventually(t, "time to pass since they wrote", func() bool {
		later.TakeOver(t.Context())
		here, others := later.Learnt(v)
		return here == 200 && others == 0
	})
	wantLearnt(t, later, v)
	if here, others := adaptive(t, opened, "r4", log).Learnt(v); here+others != 0 {
		t.Errorf("what was taken over is still there: %v, %v", here, others)
	}
	later.Exchange(t.Context())
	if here, others := adaptive(t, opened, "r5", log).Learnt(v); here != 0 || others != 200 {
		t.Errorf("a replica that is new knows of %v and %v sessions, want 200 of others", here, others)
	}
}

// TestTheNewestCountsMost: what a replica learns after the others counts as if one had learnt all of it.
func TestTheNewestCountsMost(t *testing.T) {
	t.Parallel()
	opened, v, log := openStore(t), variant(t, "tok"), &testkit.LogBuffer{}
	one, first, second := adaptive(t, nil, "", log), adaptive(t, opened, "r1", log), adaptive(t, opened, "r2", log)
	for _, s := range []*watch.Schedule{one, first} {
		signedAt(s, v, 1000, time.Minute)
	}
	first.Exchange(t.Context())
	second.Exchange(t.Context())
	for _, s := range []*watch.Schedule{one, second} {
		signedAt(s, v, 200, 30*time.Second)
	}
	second.Exchange(t.Context())
	one.Fit()
	for _, age := range []time.Duration{30 * time.Second, time.Minute} {
		if want, got := one.Gap(v, age, false), second.Gap(v, age, false); got > want*3/2 || want > got*3/2 {
			t.Errorf("gap at %v is %v, and %v where one has learnt all", age, got, want)
		}
	}
}

// TestWhatIsStoredIsRenewed: what could not be stored is stored later, and what is says now and then that its
// replica is there.
func TestWhatIsStoredIsRenewed(t *testing.T) {
	t.Parallel()
	opened, v, log := openStore(t), variant(t, "tok"), &testkit.LogBuffer{}
	s := adaptive(t, opened, "r1", log)
	signedAt(s, v, 100, 30*time.Second)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	s.Exchange(gone)
	if s.Revision() != 0 {
		t.Error("it is stored though the store was not there")
	}
	s.Exchange(t.Context())
	if here, others := adaptive(t, opened, "r2", log).Learnt(v); here != 0 || others != 100 {
		t.Errorf("another one knows of %v and %v sessions, want 100 of others", here, others)
	}
	before := s.Revision()
	s.Exchange(t.Context())
	if s.Revision() != before {
		t.Error("it is stored again a moment later")
	}
	s.StoredLongAgo()
	s.Exchange(t.Context())
	if s.Revision() <= before {
		t.Error("it is not stored again")
	}
}

// TestCutOffForLong: what a replica has learnt that others took for gone counts once.
func TestCutOffForLong(t *testing.T) {
	t.Parallel()
	opened, v, log := openStore(t), variant(t, "tok"), &testkit.LogBuffer{}
	cut, other := adaptive(t, opened, "r0", log), adaptive(t, opened, "r1", log)
	signedAt(cut, v, 100, 30*time.Second)
	cut.Exchange(t.Context())
	testkit.Eventually(t, "time to pass since it wrote", func() bool {
		other.TakeOver(t.Context())
		here, _ := other.Learnt(v)
		return here == 100
	})
	signedAt(cut, v, 1, 30*time.Second)
	for range 3 {
		cut.Exchange(t.Context())
		other.Exchange(t.Context())
	}
	signedAt(cut, v, 10, 30*time.Second)
	for range 2 {
		cut.Exchange(t.Context())
		other.Exchange(t.Context())
	}
	for name, s := range map[string]*watch.Schedule{"the one that was cut off": cut, "the other": other} {
		if here, others := s.Learnt(v); here+others != 110 {
			t.Errorf("%s knows of %v and %v sessions, want 110 in all", name, here, others)
		}
	}
}

// TestWatchesTeach: a watch that ends is learnt from, however it ends, and its curve is shown.
func TestWatchesTeach(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Schedule, l.cfg.Interval = watch.Adaptive, 100*time.Millisecond })
	for _, token := range []string{"signed", "erased", "unseen"} {
		l.say(token, session.Pending)
	}
	l.say("unseen", session.Succeeded)
	l.watch("unseen") // nobody knows since when it has been over
	l.next(event.TypeSucceeded)
	erased := l.watch("erased")
	l.next(event.TypePending)
	l.watch("signed")
	l.next(event.TypePending)
	l.say("signed", session.Succeeded)
	l.next(event.TypeSucceeded)
	testkit.NoError(t, l.w.Delete(t.Context(), erased.ID))
	if here, _ := l.schedule.Learnt(l.variant("tok")); here != 2 {
		t.Errorf("%v sessions were learnt from, want 2", here)
	}
	for _, want := range []string{
		`pollbridge_watch_schedule_sessions{endpoint="smartid-sign",since="sight"} 2`,
		`pollbridge_watch_schedule_gap_seconds{age="15",endpoint="smartid-sign",since="sight"}`,
		`pollbridge_watch_delay_seconds_count 1`, `pollbridge_watch_polls_total{endpoint="smartid-sign"}`, `pollbridge_watch_polls_at_interval_total{endpoint="smartid-sign"}`,
	} {
		if page := metricsOf(l.registry); !strings.Contains(page, want) {
			t.Errorf("the metrics lack %s:\n%s", want, page)
		}
	}
}

// TestCurvesShowWhatWasLearnt: where sessions end, what gaps that makes, and what was spent.
func TestCurvesShowWhatWasLearnt(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Schedule, l.cfg.Interval = watch.Adaptive, time.Second })
	v := l.variant("tok")
	for _, c := range l.schedule.Curves() {
		if c.Endpoint != "smartid-sign" || len(c.Points) > 0 || c.Sessions > 0 || c.Polls > 0 {
			t.Errorf("%+v, though nothing was learnt", c)
		}
	}
	signedAt(l.schedule, v, 200, 30*time.Second)
	l.w.Watch(t.Context(), v)
	o := observation(session.Pending)
	for i := range 3 {
		o.At = time.Now().Add(time.Duration(2*i) * time.Second)
		l.w.Observe(v, o)
		o = new(*o)
	}
	o.At = o.At.Add(time.Hour) // after an outage
	l.w.Observe(v, o)
	var sight watch.Curve
	testkit.Eventually(t, "a curve that was learnt", func() bool {
		curves := l.schedule.Curves()
		if len(curves) != 2 || curves[0].Since != "sight" || curves[1].Since != "start" || len(curves[1].Points) > 0 {
			t.Fatalf("Curves = %+v", curves)
		}
		sight = curves[0]
		return len(sight.Points) > 0
	})
	if sight.Sessions != 200 || sight.Polls < 2 || sight.PollsAtInterval < 8.9 || sight.PollsAtInterval > 20 {
		t.Errorf("%v sessions, %v polls for %v", sight.Sessions, sight.Polls, sight.PollsAtInterval)
	}
	most := slices.MaxFunc(sight.Points[:len(sight.Points)-1], func(a, b hazard.Point) int { return cmp.Compare(a.Hazard, b.Hazard) })
	if most.Age < 28*time.Second || most.Gap > 1500*time.Millisecond || sight.Points[0].Gap < 4*time.Second {
		t.Errorf("most end at %+v, and at first %+v", most, sight.Points[0])
	}
}

func metricsOf(registry *prometheus.Registry) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	page, _ := io.ReadAll(w.Result().Body)
	return string(page)
}

// TestWhoWaitsIsToldSooner: an observation serves until the next poll, which comes sooner when
// somebody begins to wait.
func TestWhoWaitsIsToldSooner(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Schedule, l.cfg.Interval, l.cfg.Deadline = watch.Adaptive, time.Hour, 24*time.Hour })
	l.say("tok", session.Pending)
	v := l.variant("tok")
	s := l.watch("tok")
	testkit.Eventually(t, "a poll", func() bool { return l.questions("tok") == 1 && l.w.Out() == 0 })
	o := observation(session.Pending)
	l.w.Observe(v, o)
	due := func() time.Duration {
		at, ok := l.w.Due(s.ID)
		if !ok {
			t.Fatal("it is not watched")
		}
		return at.Sub(o.At)
	}
	testkit.Eventually(t, "the schedule to say when", func() bool { return due() > 50*time.Minute })
	before := due()
	if fresh := l.w.Fresh(v, o); fresh != before || before < 54*time.Minute || before > 66*time.Minute {
		t.Errorf("it is due after %v and fresh for %v, want an hour or a tenth less or more", before, fresh)
	}
	l.mu.Lock()
	l.waited = true
	l.mu.Unlock()
	l.w.Hurry(v)
	if after, want := due(), time.Duration(float64(before)/1.4142); (after - want).Abs() > time.Second {
		t.Errorf("it was due after %v and is after %v, want %v", before, after, want)
	}
	if fresh := l.w.Fresh(v, observation(session.Pending)); fresh != 0 {
		t.Errorf("another observation is fresh for %v", fresh)
	}
}
