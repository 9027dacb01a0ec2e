package cache

import (
	"container/list"
	"context"
	"sync"
	"time"

	"pollbridge/session"
)

const (
	maxOrigins   = 1000
	originsAge   = 10 * time.Minute
	originRounds = 3 // windows for which a client waits for its origin's poll
)

// origins remembers which Access-Control-* fields the upstream answers to the pages of
// an origin: they differ by origin, while the observation they came with is everybody's.
type origins struct {
	mu      sync.Mutex
	entries map[originKey]*list.Element // of *originEntry; guarded by mu, as all below
	byUse   list.List                   // the one that was used last in front
	polls   map[originKey]chan struct{} // under way, only to learn the fields
}

// originKey holds the credential, as one caller may be allowed what another is not.
type originKey struct {
	endpoint           *session.Endpoint
	credential, origin string
}

type originEntry struct {
	key    originKey
	fields []session.Field
	until  time.Time
}

func newOrigins() *origins {
	return &origins{entries: map[originKey]*list.Element{}, polls: map[originKey]chan struct{}{}}
}

func (o *origins) get(key originKey) (fields []session.Field, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	element, ok := o.entries[key]
	if !ok {
		return nil, false
	}
	entry := element.Value.(*originEntry)
	if !time.Now().Before(entry.until) {
		o.removeLocked(element)
		return nil, false
	}
	o.byUse.MoveToFront(element)
	return entry.fields, true
}

func (o *origins) put(key originKey, fields []session.Field, lifetime time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if element, ok := o.entries[key]; ok {
		o.removeLocked(element)
	}
	o.entries[key] = o.byUse.PushFront(&originEntry{key, fields, time.Now().Add(lifetime)})
	if len(o.entries) > maxOrigins {
		o.removeLocked(o.byUse.Back())
	}
}

func (o *origins) removeLocked(element *list.Element) {
	delete(o.entries, o.byUse.Remove(element).(*originEntry).key)
}

// poll joins the poll that is made for key only to learn the fields, or says that the
// caller has to make it, and then call finish.
func (o *origins) poll(key originKey) (done chan struct{}, joined bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if done, joined = o.polls[key]; !joined {
		done = make(chan struct{})
		o.polls[key] = done
	}
	return done, joined
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

// pollOptions are for a poll that a client of an origin causes, if there is one.
func (s *Statuses) pollOptions(v *session.Variant, origin string, client <-chan struct{}) session.PollOptions {
	o := session.PollOptions{Origin: origin, Client: client}
	if origin != "" {
		o.CORS = func(fields []session.Field) {
			s.origins.put(originKey{v.Endpoint, v.Credential, origin}, fields, originsAge)
		}
	}
	return o
}

// learn asks the upstream only to learn the fields for an origin: what it says is final
// and known. Where it gives no answer, it is left alone for a window.
func (s *Statuses) learn(ctx context.Context, v *session.Variant, origin string) {
	key := originKey{v.Endpoint, v.Credential, origin}
	done, joined := s.origins.poll(key)
	if !joined {
		s.flights.Go(func() {
			defer s.origins.finish(key, done)
			defer s.recovered(nil)
			_, err := s.options.Poller.Poll(context.Background(), v, s.pollOptions(v, origin, nil))
			if _, known := s.origins.get(key); err != nil && !known {
				s.origins.put(key, nil, s.cfg.PendingTTL)
			}
		})
	}
	timer := time.NewTimer(newsTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}
