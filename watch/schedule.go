package watch

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch/hazard"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Schedule says when sessions are polled. The adaptive one learns when those of each endpoint end;
// what it has learnt survives restarts, and replicas that share a store learn as one. It is safe
// for concurrent use. Create it with NewSchedule.
type Schedule struct {
	cfg     Config
	options ScheduleOptions
	metrics *scheduleMetrics
	learnt  *store.Bucket // nil: it is not kept

	learners map[learnt]*learner // immutable; empty: nothing is learnt

	learning sync.Mutex    // held while curves are made: else one of less could take the place of one of more
	gone     time.Duration // [goneAfter]

	mu       sync.Mutex // guards what learners have counted, and below
	spent    map[learnt]*spent
	stored   time.Time // when what was learnt here was
	revision uint64    // of that; 0: there is none
	news     bool      // since then

	cancel     context.CancelFunc
	running    sync.WaitGroup
	closing    sync.Once
	complaints rate.Sometimes
}

// ScheduleOptions is what a Schedule needs to learn; one that is fixed needs none of it.
type ScheduleOptions struct {
	Endpoints []string     // their names
	Store     *store.Store // where what is learnt is kept; nil: only in memory
	// Replica is what this process is called in the store, empty where it is alone.
	Replica  string
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: nothing is counted
}

// origin is what the age of a session counts from. Sessions that differ in that are different ones:
// whoever is first seen by a client's poll may be some seconds old.
type origin uint8

const (
	sighted origin = iota // first seen, by whomever
	started               // the call was seen that has started it
	origins
)

var originNames = [origins]string{"sight", "start"}

// learnt is what is learnt for itself.
type learnt struct {
	endpoint string
	origin   origin
}

// learner learns when sessions end.
type learner struct {
	curve        atomic.Pointer[hazard.Curve]
	here, others hazard.Counts // guarded by Schedule.mu, as below
	news         bool          // the curve does not know of all that was counted
}

// NewSchedule returns a schedule that knows what was learnt before. The caller must Close it.
func NewSchedule(cfg Config, o ScheduleOptions) (*Schedule, error) {
	s := &Schedule{cfg: cfg, options: o, learners: map[learnt]*learner{}, spent: map[learnt]*spent{}, gone: goneAfter, complaints: rate.Sometimes{Interval: complaining}}
	s.metrics = newScheduleMetrics(s, o.Registry)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, endpoint := range o.Endpoints {
		for origin := range origins {
			s.spent[learnt{endpoint, origin}] = &spent{}
		}
	}
	if cfg.Schedule != Adaptive {
		return s, nil
	}
	fixed := hazard.Fixed(cfg.bounds())
	for _, endpoint := range o.Endpoints {
		for origin := range origins {
			l := &learner{}
			l.curve.Store(fixed)
			s.learners[learnt{endpoint, origin}] = l
		}
	}
	if err := s.open(); err != nil {
		cancel()
		return nil, err
	}
	s.running.Go(func() { s.learnUntil(ctx) })
	return s, nil
}

// fixedSchedule polls every Interval.
func fixedSchedule(cfg Config) *Schedule {
	cfg.Schedule = Fixed
	s, _ := NewSchedule(cfg, ScheduleOptions{}) // it opens nothing that could fail
	return s
}

func (s *Schedule) open() (err error) {
	if s.options.Store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), opening)
	defer cancel()
	if s.learnt, err = s.options.Store.Bucket(ctx, store.BucketConfig{Name: "schedule"}); err == nil {
		err = s.recall(ctx)
	}
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	s.fit()
	return nil
}

// Close keeps what was learnt since it was kept last.
func (s *Schedule) Close() {
	s.closing.Do(func() {
		s.cancel()
		s.running.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		s.keep(ctx)
	})
}

// refit is how often curves are made of what was learnt since.
const refit = time.Second

func (s *Schedule) learnUntil(ctx context.Context) {
	tick := time.NewTicker(refit)
	defer tick.Stop()
	for exchanged := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.learning.Lock()
		if time.Since(exchanged) >= exchangeAfter {
			s.keep(ctx)
			others := s.exchange(ctx)
			// However many replicas there are, they do not keep the store busy.
			exchanged = time.Now().Add(time.Duration(others) * time.Second)
		}
		s.fit()
		s.learning.Unlock()
	}
}

// fit makes curves anew of which more is known.
func (s *Schedule) fit() {
	for _, l := range s.learners {
		var all hazard.Counts
		s.mu.Lock()
		news := l.news
		if l.news = false; news {
			all.Merge(&l.others)
			all.Merge(&l.here)
		}
		s.mu.Unlock()
		if news {
			l.curve.Store(all.Fit(s.cfg.bounds()))
		}
	}
}

// bounds are those of the gaps of the adaptive schedule.
func (c Config) bounds() hazard.Bounds {
	const intervals = 5
	b := hazard.Bounds{Interval: c.Interval, Most: c.MaxGap}
	if b.Most == 0 {
		b.Most = intervals * c.Interval
	}
	return b
}

// LongestGap is the longest time between two polls of the adaptive schedule, and the only one of the
// fixed one.
func (c Config) LongestGap() time.Duration {
	if c.Schedule != Adaptive {
		return c.Interval
	}
	return c.bounds().Most
}

// adaptive reports whether gaps differ.
func (s *Schedule) adaptive() bool { return s.cfg.Schedule == Adaptive }

// waitedFor is by how much news is worth more while somebody waits for it: a delay then counts
// twice, so there are as many times as many polls as the square root of that.
const waitedFor = 2

// gap is how long after an observation, at some age of the session, the next one is due. The
// schedule that adapts varies it by a tenth, so that sessions which began together do not stay so:
// for the same observation it is the same.
func (s *Schedule) gap(v *session.Variant, from origin, age time.Duration, at time.Time, waited bool) time.Duration {
	l := s.learners[learnt{v.Endpoint.Name, from}]
	if l == nil {
		return s.cfg.Interval
	}
	const parts = 1009
	pace := 1 / (.9 + .2*float64(at.UnixMicro()%parts)/parts)
	if waited {
		pace *= math.Sqrt(waitedFor)
	}
	return l.curve.Load().Gap(age, pace)
}

// worth is how much a poll brings now of a session that was pending at a time.
func (s *Schedule) worth(v *session.Variant, from origin, began, pending, now time.Time) float64 {
	l := s.learners[learnt{v.Endpoint.Name, from}]
	if l == nil {
		return 0
	}
	return l.curve.Load().Worth(pending.Sub(began), now.Sub(began))
}

// seenTimes is when a session was seen; times are zero where they are not known.
type seenTimes struct{ began, pending, over time.Time }

// ended is told of a session that is over, or that nobody looks after any more.
func (s *Schedule) ended(v *session.Variant, from origin, seen seenTimes) {
	if seen.pending.IsZero() {
		if from != started {
			return // it may have been over for long
		}
		seen.pending = seen.began
	}
	if !seen.over.IsZero() {
		s.metrics.delay.Observe(max(0, seen.over.Sub(seen.pending).Seconds()/2))
	}
	l := s.learners[learnt{v.Endpoint.Name, from}]
	if l == nil {
		return
	}
	life := hazard.Life{Pending: seen.pending.Sub(seen.began)}
	if !seen.over.IsZero() {
		life.Over = max(1, seen.over.Sub(seen.began))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.here.Learn(life, l.curve.Load())
	l.news, s.news = true, true
}
