package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"
)

// flight is one request to the upstream and everybody who waits for its answer. What
// stands below done is set before that is closed, and may be read after it.
type flight struct {
	locale int             // that is asked for
	origin string          // for which is asked
	covers bool            // what is known is fresh, and Observe has to be told of it again
	client chan struct{}   // closed once a client waits, and not only a watch
	joined func()          // closes client; may be called again
	asking atomic.Bool     // the upstream is asked by this process, or was
	ctx    context.Context // until the upstream is asked: ended by giveUp if nobody wants that any more
	giveUp context.CancelCauseFunc

	erasing sync.Mutex // held while what it brought is kept and told of
	erased  bool       // its session was erased since it began: it brings nothing but an answer; guarded by erasing

	notFinal chan struct{} // closed once the upstream has given no final answer
	done     chan struct{}
	known    *record // what is known after it
	err      error   // why it brought nothing
	loaded   bool    // Finals knew the answer, the upstream was not asked

	fresh time.Duration // for which what another replica has made serves; 0: nothing is known of that

	span    *tracing.Span
	clients int // that waited for it, guarded by the mutex of the shard
}

func newFlight(locale int, known *record, origin string) *flight {
	client := make(chan struct{})
	ctx, giveUp := context.WithCancelCause(context.Background())
	return &flight{
		locale: locale, origin: origin, client: client, joined: sync.OnceFunc(func() { close(client) }), ctx: ctx, giveUp: giveUp,
		notFinal: make(chan struct{}), done: make(chan struct{}), known: known,
	}
}

// asked reports whether the upstream was. It may be called after done is closed.
func (f *flight) asked() bool { return !f.loaded && !unsent(f.err) }

var (
	errAborted     = errors.New("cache: the request for the upstream was aborted")
	errNoAnswerYet = errors.New("cache: the upstream has not answered yet")
	errErased      = erasedError{}
)

// erasedError is why the upstream was not asked: the session was erased before.
type erasedError struct{}

func (erasedError) Error() string { return "cache: the session was erased" }

// NotSent is what failures of the upstream have, too.
func (erasedError) NotSent() bool { return true }

// wait waits for the flight to end, but no longer than ctx, and than timeout if that is
// more than 0: then the error is errNoAnswerYet.
func (f *flight) wait(ctx context.Context, timeout time.Duration) error {
	if timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, timeout, errNoAnswerYet)
		defer cancel()
		ctx = limited
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-f.done: // at the same time
		return nil
	default:
		return context.Cause(ctx)
	}
}

// run asks the upstream and puts what it says into the slot. It runs in a goroutine of
// its own, since the client that started it may leave while others wait.
func (s *Statuses) run(v *session.Variant, f *flight, shard *shard, slot *slot) {
	var brought *record
	err := errAborted // by a panic
	defer func() {
		f.erasing.Lock() // and so it does while it is remembered
		defer f.erasing.Unlock()
		if brought != nil {
			f.known = brought
		}
		if f.erased {
			brought = nil
		}
		// The record is stored before the flight leaves the slot: whoever looked into
		// ristretto too early finds the one or the other.
		if brought != nil {
			s.remember(brought)
		}
		f.err = err
		s.siblings.leave(session.SessionKey(v.Key()), f, brought, s.cfg.NotFoundTTL)
		shard.mu.Lock()
		slot.flight = nil
		if !f.loaded { // else the upstream has said nothing since
			slot.last = failure{err: err, at: time.Now(), origin: f.origin}
		}
		if brought != nil {
			slot.known = brought
		}
		f.span.Waited(f.clients)
		shard.mu.Unlock()
		if brought != nil {
			f.span.State(brought.newest.State.String())
		}
		f.span.End()
		close(f.done)
	}()
	defer s.recovered()
	s.siblings.enter(session.SessionKey(v.Key()), f)
	brought, err = s.ask(v, f)
}

// recovered logs a panic. It has to be deferred.
func (s *Statuses) recovered() {
	if p := recover(); p != nil {
		s.options.Log.Error("panic while asking the upstream", "panic", fmt.Sprint(p))
	}
}

// ask finds out the newest about v, which f.known may be older than.
func (s *Statuses) ask(v *session.Variant, f *flight) (*record, error) {
	known, coverage := f.known, s.coverage()
	if f.covers && s.coverAgain(v, f) {
		return known.covering(coverage), nil
	}
	if useless := s.useful(known, time.Now()) <= 0; useless || known.restored {
		stored := s.load(v)
		if stored.serving(v.Locale) != nil {
			f.loaded = true
			// A crash may have come after Finals had it, and before anybody was told.
			s.observed(v, stored.newest)
			return stored, nil
		}
		if useless || stored != nil {
			known = stored
		}
	}
	o, err := s.poll(f.ctx, v, session.PollOptions{
		Origin: f.origin, Client: f.client, Pending: known.pendingAt(), Asking: func() { f.asking.Store(true) }, Fresh: func(fresh time.Duration) { f.fresh = fresh },
		Span: f.span,
	})
	if err != nil || !o.State.Final() {
		close(f.notFinal)
	}
	if err != nil {
		if o != nil {
			known = known.orOlder(v.Key(), o).since(known, coverage)
		}
		return known, err
	}
	next := known.with(v.Key(), o)
	if next.serving(v.Locale) != o {
		return next, nil // a final record stays what it is
	}
	if o.Elsewhere {
		s.observed(v, o)
		next.fresh, next.coverage = f.fresh, coverage
		return next, nil
	}
	if next.other = s.otherFinal(v, f, o); next.other != nil {
		o = next.other // the session has ended, whatever this variant was told
	}
	f.erasing.Lock()
	defer f.erasing.Unlock()
	if f.erased {
		return next, nil
	}
	if next.other == nil && o.State.Final() {
		s.keep(v, o)
	}
	s.observed(v, o)
	next.coverage = coverage
	if o.State == session.Pending && s.options.Fresh != nil {
		next.fresh = s.options.Fresh(v, o)
	}
	return next, nil
}

// erase waits until what a flight brought is kept and told of, or has it bring nothing. Where only a
// watch waits, and the upstream is not asked yet, it is not asked.
func (f *flight) erase() {
	f.erasing.Lock()
	defer f.erasing.Unlock()
	f.erased = true
	select {
	case <-f.client:
	default:
		f.giveUp(errErased)
	}
}

func (s *Statuses) observed(v *session.Variant, o *session.Observation) {
	if s.options.Observe != nil {
		s.options.Observe(v, o)
	}
}

// finalsTimeout is how long an answer waits for Finals: a store that hangs is as good
// as none, and is hardly waited for once that is known.
const finalsTimeout = 5 * time.Second

// keep makes a final observation durable. If it cannot, that is answered all the same: a
// bridge must not add failures of its own. It is tried again.
func (s *Statuses) keep(v *session.Variant, o *session.Observation) {
	ctx, cancel := s.patience.Context(context.Background(), finalsTimeout)
	defer cancel()
	err := s.options.Finals.Keep(ctx, v, o)
	s.patience.Told(err)
	if err != nil {
		message := "final answer could not be stored yet"
		if !s.unkept.add(v, o) {
			message = "final answer could not be stored, and too many wait to be: it is only in memory"
		}
		s.options.Log.Error(message, "endpoint", v.Endpoint.Name, "token", v.ShortToken(), "error", err)
	}
	if s.options.Kept != nil {
		s.options.Kept(err)
	}
}

// load returns what Finals knows about v's question, or nil.
func (s *Statuses) load(v *session.Variant) *record {
	ctx, cancel := s.patience.Context(context.Background(), finalsTimeout)
	defer cancel()
	observations, err := s.options.Finals.Load(ctx, v)
	if err != nil { // nil may only say that memory knows of none
		s.patience.Told(err)
	}
	s.logUnread(v, err)
	if len(observations) == 0 {
		return nil
	}
	return &record{key: v.Key(), newest: observations[0], others: observations[1:], loaded: max(1, time.Since(s.began))}
}

func (s *Statuses) logUnread(v *session.Variant, err error) {
	if err != nil {
		s.options.Log.Error("final answers could not be read", "endpoint", v.Endpoint.Name, "token", v.ShortToken(), "error", err)
	}
}
