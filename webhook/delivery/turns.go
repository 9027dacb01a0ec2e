package delivery

import (
	"context"
	"sync"
	"time"
)

// mostAtOnce is how many workers at a time ask the store about what does not go well. More would be no
// faster, and whoever else asks the store waits for all that was asked before: where receivers hang,
// thousands have something to ask at the same moment.
const mostAtOnce = 128

// late is after which time an event may have been overtaken by what has happened since.
const late = 500 * time.Millisecond

// turn waits until a worker may ask the store, or ctx ends. Whoever gets no error calls over after that.
func (w worker) turn(ctx context.Context) (over func(), err error) {
	if w.s.turns.Acquire(ctx, 1) != nil {
		return nil, errNotNow
	}
	return sync.OnceFunc(func() { w.s.turns.Release(1) }), nil
}

// turnFor is turn for what is asked about a job. A first attempt that comes in time asks nothing, and
// does not wait for those that do.
func (w worker) turnFor(j *job) (over func(), err error) {
	switch e, known := w.s.events.Recent(j.work.Subject, j.work.Position); {
	case j.sent != nil: // what came of it is recorded, even while the service closes
		return w.turn(w.s.sending)
	case known && !j.look && w.s.store.Now().Sub(e.Recorded) <= late:
		return func() {}, nil
	}
	return w.turn(w.s.living)
}
