package store

import "time"

// Processes that share a store may have clocks that are minutes apart. What one writes and another
// compares with the time is by the clock of the store's servers.

// SetClock is told how far the servers' clock is ahead of this process's.
func (s *Store) SetClock(ahead time.Duration) { s.ahead.Store(int64(ahead)) }

// Ahead is how far the servers' clock is ahead of this process's, as far as that is known.
func (s *Store) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// Now is the time by the servers' clock.
func (s *Store) Now() time.Time { return time.Now().Add(s.Ahead()) }

// ttlUntil is the ttl of a message that is forgotten at a time, 0 if that is over. It is longer by up
// to a second: the server counts no smaller ones.
func (s *Store) ttlUntil(end time.Time) time.Duration {
	left := max(0, end.Sub(s.Now()))
	return (left + time.Second - 1).Truncate(time.Second)
}
