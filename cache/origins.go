package cache

import (
	"context"
	"maps"
	"sync"
	"time"

	"pollbridge/internal/period"
	"pollbridge/session"
	"pollbridge/tracing"
)

const (
	maxOrigins    = 1000
	originsAge    = 10 * time.Minute
	originWindows = 3 // for which a client waits for its origin's poll
)

// origins remembers which Access-Control-* fields the upstream answers to the pages of
// an origin: they differ by origin, while the observation they came with is everybody's.
type origins struct {
	mu      sync.Mutex
	entries map[originKey]originEntry   // guarded by mu, as all below
	uses    int                         // of entries, so far
	polls   map[originKey]chan struct{} // under way, only to learn the fields
	last    map[string]time.Time        // when one began, by the key of its variant; of the last window
}

// originKey holds the credential, as one caller may be allowed what another is not.
type originKey struct {
	endpoint           *session.Endpoint
	credential, origin string
}

type originEntry struct {
	fields []session.Field
	until  time.Time
	used   int // which of the uses was its last
}

func newOrigins() *origins {
	return &origins{entries: map[originKey]originEntry{}, polls: map[originKey]chan struct{}{}, last: map[string]time.Time{}}
}

func (o *origins) get(key originKey) (fields []session.Field, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	entry, ok := o.entries[key]
	if !ok || !time.Now().Before(entry.until) {
		delete(o.entries, key)
		return nil, false
	}
	o.useLocked(key, entry)
	return entry.fields, true
}

// put forgets what was not used for the longest time where there is too much.
func (o *origins) put(key originKey, fields []session.Field, lifetime time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.useLocked(key, originEntry{fields: fields, until: time.Now().Add(lifetime)})
	if len(o.entries) <= maxOrigins {
		return
	}
	oldest := key
	for other, entry := range o.entries {
		if entry.used < o.entries[oldest].used {
			oldest = other
		}
	}
	delete(o.entries, oldest)
}

func (o *origins) useLocked(key originKey, entry originEntry) {
	o.uses++
	entry.used = o.uses
	o.entries[key] = entry
}

// sweep forgets whose time is over: the keys hold credentials.
func (o *origins) sweep(now time.Time, window time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.entries, func(_ originKey, entry originEntry) bool { return !now.Before(entry.until) })
	maps.DeleteFunc(o.last, func(_ string, began time.Time) bool { return now.Sub(began) >= window })
}

// poll joins the poll that is made for key only to learn the fields. If there is none, the
// caller has to make it, and then call finish; unless one was made for that variant in
// this window: then it has to wait first.
func (o *origins) poll(key originKey, variant string, window time.Duration) (done chan struct{}, joined bool, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if done, joined = o.polls[key]; joined {
		return done, true, 0
	}
	if wait = window - time.Since(o.last[variant]); wait > 0 {
		return nil, false, wait
	}
	o.last[variant] = time.Now()
	done = make(chan struct{})
	o.polls[key] = done
	return done, false, 0
}

func (o *origins) finish(key originKey, done chan struct{}) {
	o.mu.Lock()
	delete(o.polls, key)
	o.mu.Unlock()
	close(done)
}

// CORS returns the Access-Control-* fields that the upstream last answered to pages of
// an origin, at v's endpoint and for v's credential; known is false if it was not asked
// of late. The fields are shared: nobody may change them.
func (s *Statuses) CORS(v *session.Variant, origin string) (fields []session.Field, known bool) {
	return s.origins.get(originKey{v.Endpoint, v.Credential, origin})
}

// poll asks the upstream for the page of an origin, if there is one, and remembers what
// that may read. An answer that is no observation need not know of it, and takes nothing
// back: a page that is told "waiting" in an outage has to be able to read that.
func (s *Statuses) poll(ctx context.Context, v *session.Variant, options session.PollOptions) (*session.Observation, error) {
	origin := options.Origin
	var fields []session.Field
	answered := false
	if origin != "" {
		options.CORS = func(f []session.Field) { fields, answered = f, true }
	}
	o, err := s.options.Poller.Poll(ctx, v, options)
	if origin == "" {
		return o, err
	}
	key := originKey{v.Endpoint, v.Credential, origin}
	_, known := s.origins.get(key)
	switch {
	case answered && (err == nil || len(fields) > 0):
		s.origins.put(key, fields, originsAge)
	case !known: // it is left alone for a window
		s.origins.put(key, nil, s.cfg.PendingTTL)
	}
	return o, err
}

// learn asks the upstream only to learn the fields for an origin: what it says is final
// and known. Of a variant that is asked once a window, like everything else; who would
// have to wait for too long does without.
func (s *Statuses) learn(ctx context.Context, v *session.Variant, origin string) {
	key := originKey{v.Endpoint, v.Credential, origin}
	ctx, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	done, joined, wait := s.origins.poll(key, v.Key(), s.cfg.PendingTTL)
	for ; wait > 0; done, joined, wait = s.origins.poll(key, v.Key(), s.cfg.PendingTTL) {
		if period.Pause(ctx, wait) != nil {
			return
		}
	}
	if !joined {
		span := s.options.Tracer.Poll(tracing.In(ctx).Context(), v.Endpoint.Name)
		s.flights.Go(func() {
			defer s.origins.finish(key, done)
			defer s.recovered()
			defer span.End()
			_, _ = s.poll(context.Background(), v, session.PollOptions{Origin: origin, Span: span}) // which remembers what is to be learned
		})
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}
