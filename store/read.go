package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// There are two ways to read where several servers have copies of a stream. What decides
// something is read at the one that leads it, which knows of all that was acknowledged: get,
// next, last, bounds. Listings and counts (scan, nextListed) ask any of them, which costs a
// third: for a moment it may not know what was just written. So may a consumer, but consume waits
// for that. What a consumer hands out may be news to the server that leads, too, as it is not
// acknowledged yet (findings/leader-that-knows-less.sh): get waits for that, as does reach. Where one server has
// the stream all are the same.

// wanted says which message is wanted: that with a sequence, the first from there on that
// matches, or the newest about a subject.
type wanted struct {
	Sequence uint64 `json:"seq,omitempty"`
	Match    string `json:"next_by_subj,omitempty"`
	Newest   string `json:"last_by_subj,omitempty"`
}

// mostBehind is for how long the server that leads a stream is waited for.
const mostBehind = time.Second

// get returns the message with that sequence, which somebody knows of, or ErrNotFound: it is gone.
func (st stream) get(ctx context.Context, sequence uint64) (*message, error) {
	if !st.copied() {
		return st.anywhere(ctx, wanted{Sequence: sequence})
	}
	return st.getCopied(ctx, sequence)
}

func (st stream) getCopied(ctx context.Context, sequence uint64) (*message, error) {
	m, err := st.leading(ctx, wanted{Sequence: sequence})
	if !errors.Is(err, ErrNotFound) {
		return m, err
	}
	if _, err := st.reach(ctx, sequence); err != nil {
		return nil, err
	}
	return st.leading(ctx, wanted{Sequence: sequence}) // it came meanwhile, or is gone
}

// ErrBehind means that the server that leads a stream does not know yet of what another one has handed out.
var ErrBehind = errors.New("store: the server that leads the stream is behind")

// reach waits until the server that leads the stream knows of a sequence that somebody knows of, not
// for long: then the error is ErrBehind. It returns the newest one that the server knows of.
func (st stream) reach(ctx context.Context, sequence uint64) (newest uint64, err error) {
	pause := 2 * time.Millisecond
	for end := time.Now().Add(mostBehind); ; pause = min(2*pause, 50*time.Millisecond) {
		newest, _, err := st.bounds(ctx)
		switch {
		case err != nil || newest >= sequence:
			return newest, err
		case !time.Now().Before(end):
			return newest, fmt.Errorf("%w: %s is at message %d and does not know of %d yet", ErrBehind, st.id, newest, sequence)
		}
		if err := period.Pause(ctx, pause); err != nil {
			return 0, err
		}
	}
}

// follows reports whether there is a message after a sequence, or one is to come, where somebody has heard
// of the one with the sequence heard.
func (st stream) follows(ctx context.Context, sequence, heard uint64) (bool, error) {
	switch _, err := st.reach(ctx, heard); {
	case errors.Is(err, ErrBehind):
		return true, nil
	case err != nil:
		return false, err
	}
	return st.more(ctx, sequence)
}

// more reports whether there is a message after a sequence, as the server that leads the stream knows.
func (st stream) more(ctx context.Context, sequence uint64) (bool, error) {
	_, err := st.next(ctx, sequence+1, st.subject(">"))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// next returns the first message that matches, from a sequence on, or ErrNotFound.
func (st stream) next(ctx context.Context, from uint64, match string) (*message, error) {
	return st.decisive(ctx, wanted{Sequence: from, Match: match})
}

// messages calls use for what matches, one after the other.
func (st stream) messages(ctx context.Context, match string, use func(*message) (more bool, err error)) error {
	for from := uint64(1); ; {
		m, err := st.next(ctx, from, match)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := use(m); err != nil || !more {
			return err
		}
		from = m.Sequence + 1
	}
}

// nextListed is next for a listing.
func (st stream) nextListed(ctx context.Context, from uint64, match string) (*message, error) {
	return st.anywhere(ctx, wanted{Sequence: from, Match: match})
}

// last returns the newest message about a subject, or ErrNotFound.
func (st stream) last(ctx context.Context, subject string) (*message, error) {
	return st.decisive(ctx, wanted{Newest: subject})
}

func (st stream) decisive(ctx context.Context, which wanted) (*message, error) {
	if st.copied() {
		return st.leading(ctx, which)
	}
	return st.anywhere(ctx, which)
}

// copied reports whether several servers have copies of the stream.
func (st stream) copied() bool { return st.js.CachedInfo().Config.Replicas > 1 }

// anywhere asks any server that has the stream: it allows that, and the client does so then.
func (st stream) anywhere(ctx context.Context, which wanted) (*message, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	return st.s.found(untilAnswered(ctx, st.s, func(ctx context.Context) (*message, error) {
		if which.Newest != "" {
			return st.js.GetLastMsgForSubject(ctx, st.s.prefix.subject(which.Newest))
		}
		return st.js.GetMsg(ctx, which.Sequence, jetstream.WithGetMsgSubject(st.s.prefix.subject(which.Match)))
	}))
}

// leading asks the server that leads the stream.
func (st stream) leading(ctx context.Context, which wanted) (*message, error) {
	ctx, cancel := st.s.look(ctx)
	defer cancel()
	which.Match, which.Newest = st.s.prefix.subject(which.Match), st.s.prefix.subject(which.Newest)
	request, err := json.Marshal(which)
	if err != nil {
		return nil, err
	}
	received, err := untilAnswered(ctx, st.s, func(ctx context.Context) (*nats.Msg, error) {
		return st.s.conn.Conn().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+st.s.prefix.stream(st.id), request)
	})
	if err != nil {
		return nil, st.s.failed("read", err)
	}
	var answer struct {
		Error   *jetstream.APIError
		Message struct {
			Subject    string
			Seq        uint64
			Hdrs, Data []byte
			Time       time.Time
		}
	}
	if err := json.Unmarshal(received.Data, &answer); err != nil {
		return nil, st.s.failed("read", err)
	}
	if answer.Error != nil {
		return st.s.found(nil, answer.Error)
	}
	m := &message{Subject: answer.Message.Subject, Sequence: answer.Message.Seq, Data: answer.Message.Data, Time: answer.Message.Time}
	if len(answer.Message.Hdrs) > 0 {
		m.Header, err = nats.DecodeHeadersMsg(answer.Message.Hdrs)
	}
	return st.s.found(m, err)
}

// found returns what the server answered, or ErrNotFound.
func (s *Store) found(m *message, err error) (*message, error) {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, s.failed("read", err)
	}
	return s.here(m), nil
}
