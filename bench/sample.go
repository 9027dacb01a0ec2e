package main

import (
	"context"
	"fmt"
	"time"
)

// A sample is one measurement of one server.
type sample struct {
	cpu   time.Duration // of the server and its children
	polls int64         // requests that reached its upstream
	load  loadResult
}

// measure sends a load to a server for a time.
func measure(ctx context.Context, s *server, w load, connections int, d time.Duration) (sample, error) {
	cpu, err := cpuTime(s.pid)
	if err != nil {
		return sample{}, err
	}
	polls := s.up.ledger.total.Load()
	result, err := w.run(ctx, s.address, connections, d)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.peer.name, err)
	}
	if err := s.dead(); err != nil {
		return sample{}, err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return sample{}, err
	}
	return sample{cpu: after - cpu, polls: s.up.ledger.total.Load() - polls, load: result}, nil
}

// cpuPer100k is the CPU seconds that 100,000 requests cost.
func (s sample) cpuPer100k() float64 {
	return s.cpu.Seconds() * 100_000 / float64(s.load.requests)
}

// allCPUPer100k is the same with the CPU time of the load. Where both share the
// machine's CPUs it says how many requests a second there can be, whatever
// else is going on.
func (s sample) allCPUPer100k() float64 {
	return (s.cpu + s.load.cpu).Seconds() * 100_000 / float64(s.load.requests)
}

// perCPUSecond is the requests that one CPU can serve and make in a second.
func (s sample) perCPUSecond() float64 { return 100_000 / s.allCPUPer100k() }

func (s sample) perSecond() float64 { return float64(s.load.requests) / s.load.took.Seconds() }

func (s sample) p99Milliseconds() float64 { return float64(s.load.p99.Microseconds()) / 1000 }

// A series is the samples of one server, one for each round.
type series struct {
	name    string
	samples []sample
}

// values returns one figure of each sample.
func (s series) values(figure func(sample) float64) []float64 {
	var values []float64
	for _, sample := range s.samples {
		values = append(values, figure(sample))
	}
	return values
}

// polls and failed are sums over all samples.
func (s series) polls() (sum int64) {
	for _, sample := range s.samples {
		sum += sample.polls
	}
	return sum
}

func (s series) failed() (sum int64) {
	for _, sample := range s.samples {
		sum += sample.load.failed
	}
	return sum
}

// rounds measures the servers in turn, A B C A B C, after a second of warming
// up for each.
func rounds(ctx context.Context, l *lab, servers []*server, w load) ([]series, error) {
	all := make([]series, len(servers))
	for i, s := range servers {
		l.log("  %s: warming up", s.peer.name)
		if _, err := measure(ctx, s, w, l.connections, time.Second); err != nil {
			return nil, err
		}
		all[i].name = s.peer.name
	}
	for round := range l.rounds {
		for i, s := range servers {
			taken, err := measure(ctx, s, w, l.connections, l.duration)
			if err != nil {
				return nil, err
			}
			all[i].samples = append(all[i].samples, taken)
			l.log("  round %d/%d: %s: %.2f CPU s per 100,000, %.0f requests/s",
				round+1, l.rounds, s.peer.name, taken.cpuPer100k(), taken.perSecond())
		}
	}
	return all, nil
}

// find returns the series of a server, or false if it was left out.
func find(all []series, name string) (series, bool) {
	for _, s := range all {
		if s.name == name {
			return s, true
		}
	}
	return series{}, false
}
