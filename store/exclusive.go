package store

import (
	"context"
	"sync"
)

// exclusive lets one at a time do something about a key. The zero value is ready for
// use.
type exclusive struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when that one has left; guarded by mu
}

// enter waits until nobody does anything about a key, no longer than ctx. The caller
// must leave.
func (e *exclusive) enter(ctx context.Context, key string) (leave func(), err error) {
	for {
		e.mu.Lock()
		busy, is := e.busy[key]
		if !is {
			if e.busy == nil {
				e.busy = map[string]chan struct{}{}
			}
			left := make(chan struct{})
			e.busy[key] = left
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.busy, key)
				e.mu.Unlock()
				close(left)
			}, nil
		}
		e.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
