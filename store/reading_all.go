package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// consume calls f with the messages that a configuration describes, some at a time, up to the last
// one that is there; what was acknowledged before the call is among them. Of very many messages, scan
// is much slower.
func (st stream) consume(ctx context.Context, cfg jetstream.ConsumerConfig, f func([]*message)) error {
	ctx, cancel := period.Either(ctx, st.s.ctx)
	defer cancel()
	ctx, cancelUp := period.Either(ctx, st.s.conn.Up())
	defer cancelUp()
	end, err := st.endOf(ctx, cfg)
	if err != nil {
		return err
	}
	all := &readingAll{st: st, cfg: cfg, end: end, f: f}
	const most, pause = 4, 250 * time.Millisecond // without progress: one server may not be reached
	for tries := 1; ; tries++ {
		before := all.last
		if err = all.goOn(ctx); err == nil {
			return nil
		}
		if all.last > before {
			tries = 1
		}
		if tries >= most || period.Pause(ctx, pause) != nil {
			return err
		}
	}
}

// readingAll is reading up to the last message that is there.
type readingAll struct {
	st   stream
	cfg  jetstream.ConsumerConfig
	end  uint64 // the newest that has to be read, as far as is known; 0: none
	last uint64 // that was read
	f    func([]*message)
}

// readHeartbeat is how often the server says that there is nothing yet. Where it says nothing for
// twice as long, the request or the consumer is lost; but only a call that waits for so long notices.
const readHeartbeat = time.Second

// goOn reads from where it is.
func (a *readingAll) goOn(ctx context.Context) error {
	cfg := a.cfg
	if a.last > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, a.last+1, nil
	}
	r, err := a.st.read(ctx, cfg, jetstream.PullMaxMessages(4096), jetstream.PullHeartbeat(readHeartbeat))
	if err != nil {
		return a.st.s.failed("read", err)
	}
	defer r.end()
	if r.consumer.CachedInfo().NumPending == 0 && a.last >= a.end {
		return nil
	}
	const most = 3
	waits := 0
	for left := uint64(1); left > 0; {
		var some []*message
		some, left, err = r.some(ctx)
		switch {
		case err != nil:
			return a.st.s.failed("read", err)
		case len(some) == 0: // what there was may have gone
			info, err := r.about(ctx)
			if err != nil {
				return a.st.s.failed("read", err)
			}
			// Of a consumer that was handed nothing the server says where it looks next.
			if waits++; info.Delivered.Consumer > 0 && info.Delivered.Stream > a.last || waits == most {
				return errGap
			}
			left = info.NumPending
		default:
			waits = 0
			a.last = some[len(some)-1].Sequence
			a.f(some)
		}
		if left == 0 && a.last < a.end { // more is to come, unless what was the last one has gone meanwhile
			now, err := a.st.endOf(ctx, a.cfg)
			if err != nil {
				return err
			}
			if a.end = min(a.end, now); a.last < a.end {
				left = 1
			}
		}
	}
	return nil
}

// endOf is the sequence of the newest message that a consumer has to be handed, or 0. Where
// several servers have copies of the stream, the consumer is at any of them, which may not have
// all yet.
func (st stream) endOf(ctx context.Context, cfg jetstream.ConsumerConfig) (end uint64, err error) {
	if !st.copied() {
		return 0, nil
	}
	matches := cfg.FilterSubjects
	if len(matches) == 0 {
		matches = []string{st.subject(">")}
	}
	for _, match := range matches {
		m, err := st.last(ctx, match)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return 0, err
		case cfg.OptStartTime == nil || !m.Time.Before(*cfg.OptStartTime):
			end = max(end, m.Sequence)
		}
	}
	return end, nil
}

// some waits for some messages, but not for long. left is how many more there are.
func (r *reading) some(ctx context.Context) (some []*message, left uint64, err error) {
	const timeout = 3 * readHeartbeat
	bounded, cancel := context.WithTimeout(ctx, timeout) // one for each message would cost as much as the message
	defer cancel()
	size := 0
	for left = 1; left > 0 && len(some) < maxBatch && size < maxBatchBytes; {
		var m *message
		m, left, err = r.next(bounded)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return some, 1, nil
		}
		if err != nil {
			return nil, 0, err
		}
		some, size = append(some, m), size+len(m.Data)
	}
	return some, left, nil
}
