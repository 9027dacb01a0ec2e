package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pollbridge/session"
)

// flight is one request to the upstream and everybody who waits for its answer. The
// fields are set before done is closed, and may be read after it.
type flight struct {
	locale int // that is asked for
	done   chan struct{}
	known  *record // what is known after it
	err    error   // why it brought nothing
	loaded bool    // Finals knew the answer, the upstream was not asked
	unkept bool    // Finals could not keep it
}

func newFlight(locale int, known *record) *flight {
	return &flight{locale: locale, done: make(chan struct{}), known: known, err: errAborted}
}

var (
	errAborted   = errors.New("cache: the request for the upstream was aborted")
	errImpatient = errors.New("cache: the upstream has not answered yet")
)

// wait waits for the flight to end, but no longer than ctx, and than patience if
// that is more than 0.
func (f *flight) wait(ctx context.Context, patience time.Duration) error {
	var impatient <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		impatient = timer.C
	}
	select {
	case <-f.done:
		return nil
	case <-impatient:
		return errImpatient
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fly asks the upstream and puts what it says into the slot. It runs in a goroutine
// of its own, since the client that started it may leave while others wait.
func (s *Statuses) fly(v *session.Variant, f *flight, shard *shard, place *slot) {
	var brought *record
	err := errAborted
	defer func() {
		if p := recover(); p != nil {
			s.options.Log.Error("panic while asking the upstream", "panic", fmt.Sprint(p))
			err = errAborted
		}
		// The record is stored before the flight leaves the slot: whoever looked
		// into ristretto too early finds the one or the other.
		if brought != nil {
			s.remember(brought)
			f.known = brought
		}
		f.err = err
		shard.mu.Lock()
		place.flight, place.err = nil, err
		if brought != nil {
			place.known = brought
			place.unkept = place.unkept || f.unkept
		}
		if err != nil {
			place.failed = time.Now()
		}
		shard.mu.Unlock()
		close(f.done)
	}()
	brought, err = s.ask(v, f)
}

// ask finds out the newest about v, which f.known may be older than.
func (s *Statuses) ask(v *session.Variant, f *flight) (*record, error) {
	known := f.known
	if known.useful(s.cfg, time.Now()) <= 0 {
		known = s.load(v)
		if known.serving(v.Locale) != nil {
			f.loaded = true
			// A crash may have come after Finals had it, and before anybody was told.
			s.observed(v, known.newest)
			return known, nil
		}
	}
	o, err := s.options.Poller.Poll(context.Background(), v)
	if err != nil {
		return known, err
	}
	next := known.with(v.Key(), o)
	if next.serving(v.Locale) != o {
		return next, nil // a final record stays what it is
	}
	if o.State.Final() {
		f.unkept = !s.keep(v, o)
	}
	s.observed(v, o)
	return next, nil
}

func (s *Statuses) observed(v *session.Variant, o *session.Observation) {
	if s.options.Observe != nil {
		s.options.Observe(v, o)
	}
}

// finalsPatience is how long an answer waits for Finals: a store that hangs is as good
// as none.
const finalsPatience = 5 * time.Second

// keep makes a final observation durable and reports whether it is. If not, it is
// answered all the same: a bridge must not add failures of its own.
func (s *Statuses) keep(v *session.Variant, o *session.Observation) bool {
	ctx, cancel := context.WithTimeout(context.Background(), finalsPatience)
	defer cancel()
	err := s.options.Finals.Keep(ctx, v, o)
	if err != nil {
		s.options.Log.Error("final answer could not be stored", "endpoint", v.Endpoint.Name, "token", v.ShortToken(), "error", err)
	}
	if s.options.Kept != nil {
		s.options.Kept(err)
	}
	return err == nil
}

// load returns what Finals knows about v's question, or nil.
func (s *Statuses) load(v *session.Variant) *record {
	ctx, cancel := context.WithTimeout(context.Background(), finalsPatience)
	defer cancel()
	observations, err := s.options.Finals.Load(ctx, v)
	if err != nil {
		s.options.Log.Error("final answers could not be read", "endpoint", v.Endpoint.Name, "token", v.ShortToken(), "error", err)
	}
	if len(observations) == 0 {
		return nil
	}
	return &record{key: v.Key(), newest: observations[0], others: observations[1:], loaded: time.Now().UnixNano()}
}
