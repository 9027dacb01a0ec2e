package store

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"
)

// Errors of Ask that callers branch on.
var (
	// ErrNobody means that nobody answers the subject.
	ErrNobody = errors.New("store: nobody answers")
	// ErrSilent means that who should have answered gave no sign of life.
	ErrSilent = errors.New("store: who was asked is silent")
)

const (
	signInterval  = 100 * time.Millisecond // between signs of life of who works on an answer
	longestSilent = time.Second            // between two of them, before it counts as gone
	mostAnswers   = 1024                   // that are worked on at a time; more wait
	answerPart    = 256 << 10              // bytes of an answer that are sent as one message
	longestAnswer = 96 << 20

	// mostLarge is how many bytes of answers in several parts are on their way at a time, in each
	// direction; more wait. A server of NATS cuts off who does not take what is sent to it.
	mostLarge = 128 << 20
	// longestTaken bounds how long who asks may take for a part.
	longestTaken = 30 * time.Second
)

// The headers of an answer's messages. One with neither is a sign of life.
const (
	partHeader = "Pollbridge-Part" // there is more to come once it is taken; of how many bytes in all
	lastHeader = "Pollbridge-Last" // it is the last one
)

// Ask asks whoever answers a subject (see [Store.Answer]) and returns what it says. Question and
// answer are encrypted, and an answer fits its question only. Ask waits as long as ctx lasts, but
// only a moment for one that gives no sign of life.
func (s *Store) Ask(ctx context.Context, subject string, question []byte) ([]byte, error) {
	nc := s.conn.Conn()
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, s.failed("ask", err)
	}
	defer answers.Unsubscribe()
	asked := s.keys.encrypt(placeOf("question", subject), question)
	if len(asked) > s.largest {
		return nil, ErrTooLarge
	}
	if err := nc.PublishRequest(s.prefix.subject("ask."+subject), inbox, asked); err != nil {
		return nil, s.failed("ask", err)
	}
	var answer []byte
	var room int64
	defer func() { s.taking.Release(room) }()
	for {
		m, err := nextAnswer(ctx, answers)
		switch {
		case errors.Is(err, nats.ErrTimeout) && ctx.Err() == nil:
			return nil, ErrSilent
		case errors.Is(err, nats.ErrNoResponders):
			return nil, ErrNobody
		case err != nil:
			return nil, s.failed("ask", err)
		}
		switch size := m.Header.Get(partHeader); {
		case m.Header.Get(lastHeader) != "":
			return s.keys.decrypt(nil, answerPlace(subject, asked), append(answer, m.Data...))
		case size == "":
			continue
		case answer == nil:
			n, err := strconv.Atoi(size)
			if err != nil || n < 0 || n > longestAnswer {
				return nil, ErrTooLarge
			}
			if err := s.taking.Acquire(ctx, int64(n)); err != nil {
				return nil, context.Cause(ctx)
			}
			room, answer = int64(n), make([]byte, 0, n)
		}
		if answer = append(answer, m.Data...); int64(len(answer)) > room {
			return nil, ErrTooLarge
		}
		if err := m.Respond(nil); err != nil {
			return nil, s.failed("ask", err)
		}
	}
}

func nextAnswer(ctx context.Context, answers *nats.Subscription) (*nats.Msg, error) {
	limited, cancel := context.WithTimeoutCause(ctx, longestSilent, nats.ErrTimeout)
	defer cancel()
	m, err := answers.NextMsgWithContext(limited)
	if err != nil && limited.Err() != nil {
		return nil, context.Cause(limited)
	}
	return m, err
}

// answerPlace says to which question an answer belongs: how that was encrypted, it never was and
// will be again.
func answerPlace(subject string, asked []byte) place {
	return placeOf("answer", subject, string(asked[:min(len(asked), sealOverhead)]))
}

// Answer has f answer what is asked under a subject, which may have wildcards, until it is
// stopped; f is told the subject without them. What f returns may be large. f is called by many
// goroutines at the same time. Where several answer a subject, each does, and who asks takes the
// answer that comes first.
func (s *Store) Answer(subject string, f func(ctx context.Context, subject string, question []byte) []byte) (*Answering, error) {
	a := &Answering{s: s, f: f, room: semaphore.NewWeighted(mostAnswers)}
	a.ctx, a.end = context.WithCancel(s.ctx)
	var err error
	if a.sub, err = s.conn.Conn().Subscribe(s.prefix.subject("ask."+subject), a.take); err != nil {
		a.end()
		return nil, s.failed("answer", err)
	}
	return a, nil
}

// Answering is somebody who answers. Get one from [Store.Answer].
type Answering struct {
	s    *Store
	f    func(context.Context, string, []byte) []byte
	sub  *nats.Subscription
	room *semaphore.Weighted
	ctx  context.Context
	end  context.CancelFunc
}

// Stop ends answering: nobody is answered any more who asks from now on. It does not wait for
// answers that are worked on, whose context ends.
func (a *Answering) Stop() {
	a.sub.Unsubscribe()
	a.end()
}

// Drain is Stop once what is worked on is answered, or ctx has ended.
func (a *Answering) Drain(ctx context.Context) {
	a.sub.Unsubscribe()
	_ = a.room.Acquire(ctx, mostAnswers)
	a.end()
}

func (a *Answering) take(m *nats.Msg) {
	if a.room.Acquire(a.ctx, 1) != nil {
		return
	}
	a.s.running.Go(func() {
		defer a.room.Release(1)
		a.answer(m)
	})
}

func (a *Answering) answer(m *nats.Msg) {
	subject := a.s.prefix.cut(m.Subject)[len("ask."):]
	question, err := a.s.keys.decrypt(nil, placeOf("question", subject), m.Data)
	if err != nil {
		a.s.log.Warn("a question cannot be read: it was encrypted with another key", "subject", subject)
		return
	}
	rest := a.workOn(m, func() []byte {
		sealed := a.s.keys.encrypt(answerPlace(subject, m.Data), a.f(a.ctx, subject, question))
		if len(sealed) <= answerPart {
			return sealed
		}
		return a.sendParts(m.Reply, sealed)
	})
	if rest == nil { // who asked has gone, or asks again
		return
	}
	last := nats.NewMsg(m.Reply)
	last.Header.Set(lastHeader, "1")
	last.Data = rest
	_ = m.RespondMsg(last)
}

// workOn calls f, and gives signs of life meanwhile.
func (a *Answering) workOn(m *nats.Msg, f func() []byte) []byte {
	done := make(chan struct{})
	var living sync.WaitGroup
	living.Go(func() {
		signs := time.NewTicker(signInterval)
		defer signs.Stop()
		for {
			select {
			case <-done:
				return
			case <-signs.C:
				m.Respond(nil)
			}
		}
	})
	defer living.Wait()
	defer close(done)
	return f()
}

// sendParts sends a large answer part by part, each once the one before was taken, and returns the
// last one; nil if that has failed.
func (a *Answering) sendParts(reply string, sealed []byte) (last []byte) {
	size := int64(len(sealed))
	if a.s.sending.Acquire(a.ctx, min(size, mostLarge)) != nil {
		return nil
	}
	defer a.s.sending.Release(min(size, mostLarge))
	for len(sealed) > answerPart {
		part := nats.NewMsg(reply)
		part.Header.Set(partHeader, strconv.FormatInt(size, 10))
		part.Data, sealed = sealed[:answerPart], sealed[answerPart:]
		ctx, cancel := context.WithTimeout(a.ctx, longestTaken)
		_, err := a.s.conn.Conn().RequestMsgWithContext(ctx, part)
		cancel()
		if err != nil {
			return nil
		}
	}
	return sealed
}
