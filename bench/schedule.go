package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Signings of the scenario schedule take a tenth of the time that people take, and are watched at a
// tenth of the interval.
const (
	tenth          = 10
	scheduleRate   = 20 // signings that begin in a second
	scheduleLearns = 800
	scheduleCounts = 1_200
)

// runSchedule lets signings begin and end as people let them: polls and delays, once enough has been
// learnt.
func runSchedule(ctx context.Context, b *bench, names []string) error {
	c := &comparison{
		title: fmt.Sprintf("schedule: %d signings a second, all ten times as fast as people, watch.interval 100ms; of the last %d of %d", scheduleRate, scheduleCounts, scheduleLearns+scheduleCounts),
	}
	for _, schedule := range []string{"fixed", "adaptive"} {
		for round := range b.rounds {
			for _, name := range names {
				figures, err := b.signings(ctx, name, schedule)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				b.log("  round %d/%d: %s", round+1, b.rounds, c.add(name+", "+schedule, figures))
			}
		}
	}
	c.print(b)
	return nil
}

func (b *bench) signings(ctx context.Context, name, schedule string) ([]figure, error) {
	s, err := b.startWatching(ctx, name, watchedAPI(scheduleLearns+scheduleCounts), "STORE_SYNC=interval",
		"WATCH_SCHEDULE="+schedule, "WATCH_INTERVAL=100ms", "CACHE_PENDING_TTL=100ms")
	if err != nil {
		return nil, err
	}
	defer s.end()
	c := newClient(s.address, 1)
	defer c.close()
	random := rand.New(rand.NewPCG(1, 1))
	ended := make([]time.Time, scheduleLearns+scheduleCounts) // when each ended; before one is read, its timer is waited for
	var ending sync.WaitGroup
	var polls int64
	for session := range ended {
		if session == scheduleLearns {
			polls = s.upstream.requests.Load()
		}
		if _, err := c.poll(session); err != nil {
			return nil, err
		}
		ending.Add(1)
		time.AfterFunc(signingTime(random)/tenth, func() {
			defer ending.Done()
			ended[session] = time.Now()
			s.upstream.end(session)
		})
		if err := pause(ctx, time.Second/scheduleRate); err != nil {
			return nil, err
		}
	}
	// As many were under way when counting began as are now.
	polls = s.upstream.requests.Load() - polls
	ending.Wait()
	if err := s.awaitCount(ctx, "final events", &s.receiver.finals, len(ended)); err != nil {
		return nil, err
	}
	var delays []time.Duration
	sum := time.Duration(0)
	for session := scheduleLearns; session < len(ended); session++ {
		delay := time.Unix(0, s.upstream.told[session].Load()).Sub(ended[session])
		delays = append(delays, delay)
		sum += delay
	}
	slices.Sort(delays)
	return []figure{
		{"polls a session", 1, float64(polls) / scheduleCounts}, {"mean delay ms", 0, milliseconds(sum / scheduleCounts)},
		{"p95 ms", 0, milliseconds(delays[len(delays)*95/100])}, {"at most ms", 0, milliseconds(delays[len(delays)-1])},
	}, nil
}

// signingTime is how long people take: most sign, some refuse, and some do nothing until the
// session expires.
func signingTime(r *rand.Rand) time.Duration {
	seconds := 120 + r.NormFloat64()
	switch part := r.Float64(); {
	case part < .80:
		seconds = 14 * math.Exp(.5*r.NormFloat64())
	case part < .85:
		seconds = 8 * math.Exp(.5*r.NormFloat64())
	}
	return time.Duration(seconds * float64(time.Second))
}
