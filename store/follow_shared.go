package store

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// followWait is after which time another process gets an entry of one that has died. One that was
	// lost on its way, as a server ended, takes as long.
	followWait = 6 * time.Second
	// mostFollowed is how many entries are out at a time in one process.
	mostFollowed = 1024
	// followedAtATime is how many of them wait to be handed out: a process that cannot go on keeps
	// no more from the others.
	followedAtATime = 64
)

// sharedFollower follows a journal together with those of other processes that have its name:
// each entry goes to one of them, and to another one if it is not over in time. How far they are
// the server knows, by a consumer with that name.
type sharedFollower struct {
	*puller
	j   *Journal
	f   func(context.Context, Entry, func()) error
	ctx context.Context
	log *slog.Logger

	finishes func(sequence uint64) bool // nil: nothing

	waiting chan followed // what is out, but was not handed out yet; it has room for what is asked for

	leftMu sync.Mutex
	left   map[uint64]jetstream.Msg // what is out, by sequence, as it came last; guarded by leftMu
	over   chan struct{}            // has an element when something is over
}

// followed is an entry as it came.
type followed struct {
	*message
	often uint64 // it was handed out, with this time
}

// When following ends, what is not over after handBackAfter, and will not be, goes to others. That is looked at
// every handBackAgain.
const (
	handBackAfter = 500 * time.Millisecond
	handBackAgain = 100 * time.Millisecond
)

func (j *Journal) followShared(ctx context.Context, name string, f func(context.Context, Entry, func()) error, finishes func(sequence uint64) bool) error {
	w := &sharedFollower{
		j: j, f: f, ctx: ctx, finishes: finishes, log: j.s.log.With("journal", j.name, "follower", name),
		waiting: make(chan followed, followedAtATime), left: map[uint64]jetstream.Msg{}, over: make(chan struct{}, 1),
	}
	w.puller = newPuller(j.s, mostFollowed, func(ctx context.Context) (jetstream.Consumer, error) { return j.joinFollowers(ctx, name) }, w.take)
	w.atATime = func() int {
		if len(w.waiting) > 0 {
			return 0
		}
		return followedAtATime
	}
	renewing := time.NewTicker(followWait / 4)
	defer renewing.Stop()
	stopRenewing := make(chan struct{})
	var renewal sync.WaitGroup
	renewal.Go(func() { w.renewUntil(stopRenewing, renewing.C) })
	defer renewal.Wait()
	defer close(stopRenewing)
	var handing sync.WaitGroup
	handing.Go(w.handOut)
	w.run(ctx, func(err error) { w.log.Warn("event follower is not making progress", "error", err) })
	close(w.waiting)
	handing.Wait()
	w.handBack()
	return nil
}

// renewUntil keeps what is out: it is being worked on.
func (w *sharedFollower) renewUntil(stop <-chan struct{}, tick <-chan time.Time) {
	for {
		select {
		case <-stop:
			return
		case <-tick:
		}
		w.leftMu.Lock()
		for _, m := range w.left {
			m.InProgress() // if that is lost, another one gets it
		}
		w.leftMu.Unlock()
	}
}

// handBack hands back what is not over soon, nor will be, and waits for the rest.
func (w *sharedFollower) handBack() {
	look := time.NewTimer(handBackAfter)
	defer look.Stop()
	for {
		w.leftMu.Lock()
		left := slices.Collect(maps.Keys(w.left))
		w.leftMu.Unlock()
		if len(left) == 0 {
			return
		}
		select {
		case <-w.over:
			continue
		case <-look.C:
		}
		for _, sequence := range left {
			if w.finishes != nil && w.finishes(sequence) {
				continue
			}
			if m, out := w.end(sequence); out {
				m.Nak()
			}
		}
		look.Reset(handBackAgain)
	}
}

// end takes a message off what is out, and returns it as it came last, unless it was not out any
// more.
func (w *sharedFollower) end(sequence uint64) (m jetstream.Msg, out bool) {
	w.leftMu.Lock()
	m, out = w.left[sequence]
	delete(w.left, sequence)
	w.leftMu.Unlock()
	if out {
		w.settle()
	}
	select {
	case w.over <- struct{}{}:
	default:
	}
	return m, out
}

// joinFollowers makes the server's consumer, or finds the one that others have made. Where one
// process alone has followed before, it goes on from there.
func (j *Journal) joinFollowers(ctx context.Context, name string) (jetstream.Consumer, error) {
	ctx, cancel, err := j.s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	consumer, err := j.js.Consumer(ctx, name)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return consumer, j.s.failed("follow a journal", err)
	}
	noted, err := j.noted(ctx, name)
	if err != nil {
		return nil, err
	}
	cfg := jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: followWait, MaxAckPending: mostOutOfAll,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: noted + 1,
	}
	consumer, err = j.js.CreateConsumer(ctx, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) { // meanwhile
		consumer, err = j.js.Consumer(ctx, name)
	}
	return consumer, j.s.failed("follow a journal", err)
}

// take has an entry wait to be handed out. One that is out already comes again if it could not be
// renewed in time: whoever is at work on it goes on.
func (w *sharedFollower) take(received jetstream.Msg) {
	place, err := received.Metadata()
	var m *message
	if err == nil {
		m, _, err = w.s.receivedMessage(received)
	}
	if err != nil {
		w.log.Error("journal entry cannot be read, skipping it", "error", err)
		return
	}
	w.leftMu.Lock()
	_, out := w.left[m.Sequence]
	w.left[m.Sequence] = received
	w.leftMu.Unlock()
	if !out {
		w.begin()
		w.waiting <- followed{m, place.NumDelivered}
	}
}

// handOut hands out what waits, one after the other.
func (w *sharedFollower) handOut() {
	for m := range w.waiting {
		w.handOne(m)
		w.wake()
	}
}

func (w *sharedFollower) handOne(m followed) {
	done := func() {
		if received, out := w.end(m.Sequence); out {
			received.Ack() // if that is lost, it is handed out again
		}
	}
	entry, err := w.j.entry(m.message, nil)
	if err != nil && w.leavesToOthers(m.often, func() {
		w.log.Error("journal entry cannot be decrypted, leaving it to others", "sequence", m.Sequence, "error", err)
	}) {
		if received, out := w.end(m.Sequence); out {
			received.NakWithDelay(othersAgain)
		}
		return
	}
	if err != nil {
		w.log.Error("journal entry cannot be decrypted, it counts as damaged", "sequence", m.Sequence, "error", err)
		done()
		return
	}
	entry.Again = m.often > 1
	if retry(w.ctx, w.log, func() error { return w.f(w.ctx, entry, done) }) {
		return
	}
	if received, out := w.end(m.Sequence); out {
		received.Nak()
	}
}

// followedShared is Followed where several processes follow.
func (j *Journal) followedShared(ctx context.Context, name string) (sequence uint64, err error) {
	info, err := j.followers(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return j.noted(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	return info.AckFloor.Stream, nil
}

// Behind is how many entries are not over for those who follow with a name in several processes,
// together: those that were handed to nobody yet, and those that were.
func (j *Journal) Behind(ctx context.Context, name string) (waiting, out int, err error) {
	info, err := j.followers(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return int(min(info.NumPending, math.MaxInt)), info.NumAckPending, nil
}

// followers is what the server knows of those who follow with a name. The error is ErrNotFound
// where nobody ever has.
func (j *Journal) followers(ctx context.Context, name string) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := j.s.look(ctx)
	defer cancel()
	consumer, err := j.consumer(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, j.s.failed("read", err)
	}
	return consumer.CachedInfo(), nil
}
