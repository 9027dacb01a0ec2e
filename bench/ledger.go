package main

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// A ledger counts requests and knows the most that were in flight at once for
// any one token. It remembers only what is in flight, so its memory does not
// grow with the tokens that it saw.
type ledger struct {
	total, most atomic.Int64
	seed        maphash.Seed
	shards      [64]ledgerShard
}

type ledgerShard struct {
	mu       sync.Mutex // guards inFlight
	inFlight map[string]int64
}

func newLedger() *ledger {
	l := &ledger{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].inFlight = map[string]int64{}
	}
	return l
}

// enter notes a request for token and returns what notes its end.
func (l *ledger) enter(token string) (leave func()) {
	l.total.Add(1)
	s := &l.shards[maphash.String(l.seed, token)%uint64(len(l.shards))]
	l.raise(s.add(token, 1))
	return func() { s.add(token, -1) }
}

func (s *ledgerShard) add(token string, n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.inFlight[token] + n
	if now == 0 {
		delete(s.inFlight, token)
	} else {
		s.inFlight[token] = now
	}
	return now
}

// raise lifts the most that was ever seen to n.
func (l *ledger) raise(n int64) {
	for {
		most := l.most.Load()
		if n <= most || l.most.CompareAndSwap(most, n) {
			return
		}
	}
}
