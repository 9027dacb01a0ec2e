package delivery

import (
	"hash/fnv"
	"sync"
	"time"
)

// erasedFor is how long attempts that were under way when their session was erased can
// take to end, and more.
const erasedFor = 10 * time.Minute

// erased knows the sessions that were erased a moment ago, and up to which position of the
// journal: a session that is registered again has the same ids, and its events come
// after that. The zero value is empty.
type erased struct {
	mu sync.Mutex
	up map[string]erasure // by session; guarded by mu
}

type erasure struct {
	position uint64
	at       time.Time
}

func (e *erased) add(session string, position uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.up == nil {
		e.up = map[string]erasure{}
	}
	now := time.Now()
	for old, erasure := range e.up {
		if now.Sub(erasure.at) > erasedFor {
			delete(e.up, old)
		}
	}
	e.up[session] = erasure{max(position, e.up[session].position), now}
}

// has reports whether what a session's event at that position led to was erased.
func (e *erased) has(session string, position uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	erasure, was := e.up[session]
	return was && position <= erasure.position && time.Since(erasure.at) < erasedFor
}

// sessionLocks has a lock for each session, which others may have, too.
type sessionLocks [64]sync.RWMutex

func (l *sessionLocks) of(sessionID string) *sync.RWMutex {
	hash := fnv.New32a()
	hash.Write([]byte(sessionID))
	return &l[hash.Sum32()%uint32(len(l))]
}
