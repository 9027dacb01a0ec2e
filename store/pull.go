package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullExpiry bounds how long the server hands items to a process that was stopped without
	// an end of its connection: to one that asks it does.
	pullExpiry = 4 * time.Second
	// mostPulled is how many items are asked for at a time.
	mostPulled = 4096
)

// puller is handed messages by a consumer of the server that any number of processes share. Each
// asks for as many as it has room for, and not for long: so what was asked for by a process that
// was stopped goes to others soon.
type puller struct {
	s    *Store
	most int // that are out at a time
	join func(context.Context) (jetstream.Consumer, error)
	hand func(jetstream.Msg) // which calls begin for what is out from then on
	// atATime is how many are asked for at a time, if there is room: none for now if it returns 0.
	// Whoever has it change from that calls wake.
	atATime func() int

	settled chan struct{} // has an element when there may be room again

	mu  sync.Mutex
	out int // guarded by mu
}

func newPuller(s *Store, most int, join func(context.Context) (jetstream.Consumer, error), hand func(jetstream.Msg)) *puller {
	return &puller{s: s, most: most, join: join, hand: hand, atATime: func() int { return mostPulled }, settled: make(chan struct{}, 1)}
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
	p.s.insist(ctx, func(ctx context.Context) error {
		consumer, err := p.join(ctx)
		for err == nil && ctx.Err() == nil {
			err = p.pull(ctx, consumer)
		}
		return err
	}, delayed)
}

// pull asks for as many messages as there is room for, and hands them out. It returns when all
// of these have come, ctx has ended, or the server's consumer is lost.
func (p *puller) pull(ctx context.Context, consumer jetstream.Consumer) error {
	n := p.room(ctx)
	if n == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(n), jetstream.StopAfter(n), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return err
	}
	for range n {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			p.giveBack(messages)
			return err
		}
		p.hand(m)
	}
	messages.Stop()
	return nil
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

// giveBack ends what was asked for, and gives back what comes until the server knows. Else
// that would stay here until its time is over.
func (p *puller) giveBack(messages jetstream.MessagesContext) {
	const timeout = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ctx, cancel = p.s.look(ctx)
	defer cancel()
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		m.Nak()
	}
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
