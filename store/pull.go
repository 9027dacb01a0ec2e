package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"
)

const (
	// pullTime is for how long a server hands out what was asked for: to a process that was stopped
	// without an end of its connection, too.
	pullTime = 3 * time.Second
	// pullSlack is how much longer is waited for the last of it, or for the word that nothing more comes.
	pullSlack = 900 * time.Millisecond
	// mostPulled is how many items are asked for at a time.
	mostPulled = 4096
)

// What one process cannot decrypt another one may, that has its key: it is handed out again after othersAgain,
// othersOften times, which is some ten minutes. After that it counts as damaged.
const (
	othersAgain = 5 * time.Second
	othersOften = 120
)

// puller is handed messages by a consumer of the server that any number of processes share. Each
// asks for as many as it has room for, and not for long: so what was asked for by a process that
// was stopped goes to others soon.
type puller struct {
	s    *Store
	most int                                               // that are out at a time
	join func(context.Context) (jetstream.Consumer, error) // is called again while it waits for an answer
	hand func(jetstream.Msg)                               // which calls begin for what is out from then on
	// atATime is how many are asked for at a time, if there is room: none for now if it returns 0.
	// Whoever has it change from that calls wake.
	atATime func() int

	settled    chan struct{}  // has an element when there may be room again
	complaints rate.Sometimes // about what cannot be decrypted here: it may be all there is

	mu  sync.Mutex
	out int // guarded by mu
}

func newPuller(s *Store, most int, join func(context.Context) (jetstream.Consumer, error), hand func(jetstream.Msg)) *puller {
	return &puller{s: s, most: most, join: join, hand: hand, atATime: func() int { return mostPulled }, settled: make(chan struct{}, 1), complaints: rate.Sometimes{First: 3, Interval: time.Minute}}
}

// ensureConsumer makes a consumer at the server, or finds the one that others have made. It is
// changed only where its configuration is another one: many may come at once.
func ensureConsumer(ctx context.Context, js jetstream.Stream, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := js.CreateConsumer(ctx, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		consumer, err = js.UpdateConsumer(ctx, cfg)
	}
	return consumer, err
}

// run hands out messages until ctx ends.
func (p *puller) run(ctx context.Context, delayed func(error)) {
	silent := false
	p.s.insist(ctx, func(ctx context.Context) error {
		joining, cancel := p.s.joining(ctx)
		consumer, err := untilAnswered(joining, p.s, p.join)
		cancel()
		for err == nil && ctx.Err() == nil {
			if err = p.pull(ctx, consumer); err == nil {
				silent = false
			}
		}
		again := silent
		silent = errors.Is(err, errSilent)
		if silent && !again || errors.Is(err, jetstream.ErrConsumerLeadershipChanged) || errors.Is(err, jetstream.ErrServerShutdown) {
			return nil // another server has it, or joining it tells that it is lost
		}
		return err
	}, delayed)
}

// errSilent says that there was no answer, not even that there is nothing.
var errSilent = errors.New("store: no answer from the consumer")

// pull asks for as many messages as there is room for, and hands them out. It returns when all
// of these have come or no more came in time, ctx has ended, or the server's consumer is lost.
func (p *puller) pull(ctx context.Context, consumer jetstream.Consumer) error {
	n := p.room(ctx)
	if n == 0 {
		return nil
	}
	// What was asked for cannot be taken back: whoever stops listening loses what is on its way from
	// a server to that of its connection, until its time is over.
	listening, cancel := context.WithCancelCause(p.lasting())
	end := time.AfterFunc(pullTime+pullSlack, func() { cancel(errSilent) })
	stop := func() { end.Stop(); cancel(nil) }
	batch, err := p.fetch(listening, consumer, n)
	if err != nil {
		stop()
		return err
	}
	for {
		select {
		case m, more := <-batch.Messages():
			if more {
				p.hand(m)
				continue
			}
			defer stop()
			if context.Cause(listening) == errSilent {
				return errSilent
			}
			return batch.Error()
		case <-ctx.Done():
			p.s.running.Go(func() {
				defer stop()
				for m := range batch.Messages() {
					m.Nak() // if that is lost, its time ends as well
				}
			})
			return ctx.Err()
		}
	}
}

// fetch asks for n messages, and listens until a context ends, which has no deadline: from one that
// has, the library takes the time to ask for.
func (p *puller) fetch(listening context.Context, consumer jetstream.Consumer, n int) (jetstream.MessageBatch, error) {
	if !p.s.conn.Conn().IsConnected() {
		return nil, nats.ErrDisconnected // its subscription would stay
	}
	const asked = pullTime * 10 / 9 // of which the library keeps a tenth
	ask, cancel := context.WithTimeout(context.Background(), asked)
	defer cancel()
	return consumer.Fetch(n, jetstream.FetchContext(ask), jetstream.FetchContext(listening))
}

// lasting lasts as long as messages may come. Where other processes have the same consumer, that is
// longer than the store is used: Close waits for it.
func (p *puller) lasting() context.Context {
	if p.s.shared {
		return context.Background()
	}
	return p.s.ctx
}

// room waits until messages may come, and returns how many; none if ctx ends.
func (p *puller) room(ctx context.Context) int {
	for ctx.Err() == nil {
		p.mu.Lock()
		room := p.most - p.out
		p.mu.Unlock()
		if n := min(room, p.atATime()); n > 0 {
			return n
		}
		select {
		case <-p.settled:
		case <-ctx.Done():
		}
	}
	return 0
}

// leavesToOthers reports whether a message that cannot be decrypted here, and was handed out that often, is to be handed
// out again after othersAgain. It has that told of now and then.
func (p *puller) leavesToOthers(often uint64, tell func()) bool {
	if !p.s.shared || often >= othersOften {
		return false
	}
	p.complaints.Do(tell)
	return true
}

// begin is told that a message is out, settle that it is not any more.
func (p *puller) begin() {
	p.mu.Lock()
	p.out++
	p.mu.Unlock()
}

func (p *puller) settle() {
	p.mu.Lock()
	p.out--
	p.mu.Unlock()
	p.wake()
}

// wake has it looked again whether there is room.
func (p *puller) wake() {
	select {
	case p.settled <- struct{}{}:
	default:
	}
}
