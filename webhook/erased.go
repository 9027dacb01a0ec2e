package webhook

import (
	"sync"
	"time"
)

// erasedFor is how long attempts that were under way when their session was erased can
// take to end, and more.
const erasedFor = 10 * time.Minute

// erased knows the sessions that were erased a moment ago. The zero value is empty.
type erased struct {
	mu sync.Mutex
	at map[string]time.Time // guarded by mu
}

func (e *erased) add(session string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == nil {
		e.at = map[string]time.Time{}
	}
	now := time.Now()
	for old, at := range e.at {
		if now.Sub(at) > erasedFor {
			delete(e.at, old)
		}
	}
	e.at[session] = now
}

func (e *erased) has(session string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, was := e.at[session]
	return was && time.Since(at) < erasedFor
}
