package upstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// rateQueue lets as many polls through as upstream.rate allows: those of clients before
// those of watches, but of five at least one of a watch that waits. Both wait in the
// order in which they came. Nil sets no limit.
type rateQueue struct {
	limiter          *rate.Limiter
	clients, watches queue
	most             int64 // of each kind that may wait: no more than can hope to get through in time
	stop             context.CancelFunc
	stopped          sync.WaitGroup
}

// queue is of one kind of polls. A channel without a buffer serves those who receive from
// it in the order in which they came.
type queue struct {
	admitted chan struct{}
	waiting  atomic.Int64
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
		clients: queue{admitted: make(chan struct{})},
		watches: queue{admitted: make(chan struct{})},
		most:    max(1, int64(perSecond*queueing.Seconds())),
		stop:    stop,
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
	inARow := 0 // polls of clients
	for q.limiter.Wait(ctx) == nil {
		next := q.clients.admitted
		if inARow >= clientsInARow {
			next = q.watches.admitted
		}
		select {
		case next <- struct{}{}:
		default: // nobody waits there, so whoever comes first
			select {
			case q.clients.admitted <- struct{}{}:
				next = q.clients.admitted
			case q.watches.admitted <- struct{}{}:
				next = q.watches.admitted
			case <-ctx.Done():
				return
			}
		}
		if inARow++; next == q.watches.admitted {
			inARow = 0
		}
	}
}

// wait returns when a poll may be sent, no later than ctx and than queueing. It is a
// watch's until client is closed; if that is nil, it is a client's. The error is the
// cause of ctx, or a Failure.
func (q *rateQueue) wait(ctx context.Context, client <-chan struct{}) error {
	if q == nil {
		return nil
	}
	select {
	case <-client:
		client = nil
	default:
	}
	queue := &q.watches
	if client == nil {
		queue = &q.clients
	}
	defer queue.waiting.Add(-1)
	if queue.waiting.Add(1) > q.most {
		return overload(ctx, errQueueFull)
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	admitted := queue.admitted
	for {
		select {
		case <-admitted:
			return nil
		case <-client: // one waits for it by now
			admitted, client = q.clients.admitted, nil
		case <-limited.Done():
			return overload(ctx, limited.Err())
		}
	}
}
