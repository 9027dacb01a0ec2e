package upstream

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"golang.org/x/time/rate"
)

// rateQueue lets as many polls through as upstream.rate allows: those of clients before
// those of watches, but of five at least one of a watch that waits. Both wait in the
// order in which they came. Nil sets no limit.
type rateQueue struct {
	limiter *rate.Limiter
	most    int // polls of a kind that may wait: no more than can hope to get through in time
	arrived chan struct{}
	stop    context.CancelFunc
	stopped sync.WaitGroup

	mu      sync.Mutex
	clients list.List // of *queued, guarded by mu, as all below
	watches list.List
	passed  int // clients that have gone before a waiting watch, one after the other
}

// queued is a poll that waits.
type queued struct {
	admitted chan struct{} // closed when it may be sent
	queue    *list.List    // nil once it may be sent
	element  *list.Element
}

// clientsInARow is how many polls of clients may go before a watch's that waits.
const clientsInARow = 4

var errQueueFull = errors.New("more polls wait already than upstream.rate lets through in time")

// newRateQueue makes a queue that has to be closed; nil if there is no limit.
func newRateQueue(perSecond float64) *rateQueue {
	if perSecond <= 0 {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	q := &rateQueue{
		limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10))),
		most:    max(1, int(perSecond*queueing.Seconds())),
		arrived: make(chan struct{}, 1), stop: stop,
	}
	q.stopped.Go(func() { q.run(ctx) })
	return q
}

func (q *rateQueue) close() {
	if q != nil {
		q.stop()
		q.stopped.Wait()
	}
}

// run lets one through for each token of the limiter.
func (q *rateQueue) run(ctx context.Context) {
	for q.limiter.Wait(ctx) == nil {
		for !q.admit() {
			select {
			case <-q.arrived:
			case <-ctx.Done():
				return
			}
		}
	}
}

// admit lets the next one through. It is false if none waits.
func (q *rateQueue) admit() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.clients.Front()
	if next == nil || q.watches.Len() > 0 && q.passed >= clientsInARow {
		next = q.watches.Front()
		q.passed = 0
	} else if q.watches.Len() > 0 {
		q.passed++
	}
	if next == nil {
		return false
	}
	p := next.Value.(*queued)
	p.queue.Remove(p.element)
	p.queue = nil
	close(p.admitted)
	return true
}

// wait returns when a poll may be sent, no later than ctx and than queueing. It is a
// watch's until client is closed; if that is nil, it is a client's. The error is the
// cause of ctx, or a Failure.
func (q *rateQueue) wait(ctx context.Context, client <-chan struct{}) error {
	if q == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	p := &queued{admitted: make(chan struct{})}
	if client == nil || isClosed(client) {
		client = nil
		q.join(&q.clients, p)
	} else {
		q.join(&q.watches, p)
	}
	if p.element == nil {
		return overload(ctx, errQueueFull)
	}
	for {
		select {
		case <-p.admitted:
			return nil
		case <-client:
			client = nil
			q.promote(p)
		case <-limited.Done():
			if q.leave(p) {
				return overload(ctx, limited.Err())
			}
			return nil
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// join leaves p without an element if the queue is full.
func (q *rateQueue) join(queue *list.List, p *queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if queue.Len() >= q.most {
		return
	}
	p.queue, p.element = queue, queue.PushBack(p)
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}

// promote makes a client's poll of a watch's.
func (q *rateQueue) promote(p *queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.queue != nil {
		p.queue.Remove(p.element)
		p.queue, p.element = &q.clients, q.clients.PushBack(p)
	}
}

// leave is false if p has been let through meanwhile.
func (q *rateQueue) leave(p *queued) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.queue == nil {
		return false
	}
	p.queue.Remove(p.element)
	return true
}
