package proxy

import (
	"runtime"
	"sync/atomic"
)

// turns lets connections that wait for a CPU go before one that was just answered.
// Its client needs a moment for the next request, and a read at once would most often
// find nothing, for the price of a system call and of a wait.
type turns struct {
	taken  *atomic.Uint64 // by all connections of the server
	writes atomic.Uint64  // on this connection

	// For whoever reads:
	next  uint64 // how many writes there have to be for the next turn to be given away
	pause uint64 // writes from one such turn to the next
}

const (
	// The runtime asks the network for news when there is nothing else to do. It would
	// hardly ever do so if every busy connection always came back, so only every other
	// turn is given away,
	shortPause = 2
	// and fewer by and by while nobody takes them: then that costs more than it saves.
	longPause = 64
)

// newTurns returns the turns of a new connection.
func newTurns(taken *atomic.Uint64) turns { return turns{taken: taken, next: 1} }

// written is told of each write.
func (t *turns) written() { t.writes.Add(1) }

// beforeRead returns when it is the connection's turn to read.
func (t *turns) beforeRead() {
	taken := t.taken.Add(1)
	writes := t.writes.Load()
	if writes < t.next {
		return
	}
	runtime.Gosched()
	if t.taken.Load() != taken {
		t.pause = shortPause
	} else {
		t.pause = min(max(2*t.pause, shortPause), longPause)
	}
	t.next = writes + t.pause
}
