package webhook

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"pollbridge/store"
	"pollbridge/webhook/send"
)

// subscriptions are the records of all subscriptions, with what memory knows of them. It
// is safe for concurrent use.
type subscriptions struct {
	store    *store.Store
	bucket   *store.Bucket
	registry *registry
	watcher  *store.Watcher
	log      *slog.Logger
	history  time.Duration
}

// openSubscriptions reads all subscriptions, and hears of changes while watching lasts.
func openSubscriptions(ctx, watching context.Context, s *store.Store, log *slog.Logger, history time.Duration) (*subscriptions, error) {
	bucket, err := s.Bucket(ctx, store.BucketConfig{Name: "subscriptions"})
	if err != nil {
		return nil, err
	}
	subs := &subscriptions{store: s, bucket: bucket, registry: newRegistry(), log: log, history: history}
	subs.watcher, err = bucket.Watch(watching, ">", subs.changed)
	return subs, err
}

// current waits until memory knows all that was changed before, by whatever process.
func (s *subscriptions) current(ctx context.Context) error {
	if !s.store.Shared() {
		return nil // whoever changes something tells memory
	}
	if err := s.watcher.Current(ctx); err != nil {
		return fmt.Errorf("webhook: reading what other replicas have changed: %w", err)
	}
	return nil
}

func (s *subscriptions) changed(c store.Change) {
	if c.Gone {
		s.registry.remove(c.Key, c.Revision, true)
		return
	}
	sub, err := s.read(c.Record)
	if err != nil {
		s.log.Error("skipping an unreadable subscription", "error", err)
		return
	}
	s.registry.put(sub)
}

// create stores a new subscription.
func (s *subscriptions) create(ctx context.Context, sub *subscription) error {
	defer s.registry.writing(sub.ID)()
	revision, err := s.bucket.Create(ctx, sub.ID, store.JSON(sub), s.ttlOf(sub))
	if err != nil {
		return fmt.Errorf("webhook: storing a subscription: %w", err)
	}
	sub.revision, sub.consumer = revision, s.consumerOf(sub)
	s.registry.put(sub)
	return nil
}

// errUnchanged leaves a subscription as it is, see change.
var errUnchanged = errors.New("nothing to change")

// change stores what f makes of a copy of a subscription, unless f returns an error.
// Whoever else changes it meanwhile comes first, and f is called again.
func (s *subscriptions) change(ctx context.Context, id string, f func(*subscription) error) (*subscription, error) {
	defer s.registry.writing(id)()
	for {
		sub, err := s.stored(ctx, id)
		if err != nil {
			return nil, err
		}
		sub = sub.clone()
		if err := f(sub); errors.Is(err, errUnchanged) {
			return sub, nil
		} else if err != nil {
			return nil, err
		}
		sub.Updated = s.store.Now()
		switch err := s.update(ctx, sub); {
		case err == nil:
			return sub, nil
		case !errors.Is(err, store.ErrConflict):
			return nil, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
	}
}

// update stores a form of a subscription that was made of the one that is stored; else it
// fails with store.ErrConflict.
func (s *subscriptions) update(ctx context.Context, sub *subscription) error {
	defer s.registry.writing(sub.ID)()
	revision, err := s.bucket.Update(ctx, sub.ID, store.JSON(sub), sub.revision, s.ttlOf(sub))
	if err != nil {
		return fmt.Errorf("webhook: storing a subscription: %w", err)
	}
	sub.revision, sub.consumer = revision, s.consumerOf(sub)
	s.registry.put(sub)
	return nil
}

// stored reads a subscription from the engine: what is in memory may be a moment old.
func (s *subscriptions) stored(ctx context.Context, id string) (*subscription, error) {
	sub, err := s.find(ctx, id)
	if err == nil && sub.Ended > 0 {
		return nil, ErrNotFound
	}
	return sub, err
}

// find is stored of one that may have ended.
func (s *subscriptions) find(ctx context.Context, id string) (*subscription, error) {
	if !store.IsID(id) {
		return nil, ErrNotFound
	}
	r, err := s.bucket.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("webhook: reading a subscription: %w", err)
	}
	return s.read(r)
}

// drop deletes a subscription, in the engine and then in memory.
func (s *subscriptions) drop(ctx context.Context, sub *subscription) error {
	return s.dropped(sub, s.bucket.DeleteSince(ctx, sub.ID, sub.revision))
}

// dropIf is drop of a subscription that has the form that it is given in; else it fails with
// store.ErrConflict.
func (s *subscriptions) dropIf(ctx context.Context, sub *subscription) error {
	return s.dropped(sub, s.bucket.DeleteIf(ctx, sub.ID, sub.revision))
}

// dropped has memory forget a subscription, unless deleting it has failed.
func (s *subscriptions) dropped(sub *subscription, err error) error {
	if err != nil {
		return fmt.Errorf("webhook: deleting a subscription: %w", err)
	}
	s.registry.remove(sub.ID, sub.revision, false)
	return nil
}

// ttlOf is how long a subscription is kept, as store.Bucket has it.
func (s *subscriptions) ttlOf(sub *subscription) time.Duration {
	if !sub.Bound {
		return 0
	}
	return max(time.Second, sub.Created.Add(s.history).Sub(s.store.Now()))
}

// mostPerHost is how many consumers deliver what is attached to sessions to one host.
const mostPerHost = 64

// consumerOf names the consumer that delivers to a subscription: its own, but those of
// single sessions share those of their host, so that no signing makes its own. Where a host
// has several paths, of which one fails, the others hardly ever share its consumer; where each
// signing has its own path, there are no more than mostPerHost. Which one it is hangs on the
// path alone, so that it is the same after a restart and in every process. Items of another
// name, from earlier versions, are still taken from the queue.
func (s *subscriptions) consumerOf(sub *subscription) string {
	if !sub.Bound {
		return sub.ID
	}
	u, err := url.Parse(sub.URL)
	if err != nil {
		return sub.ID
	}
	path := fnv.New32a()
	path.Write([]byte(u.EscapedPath()))
	return s.store.ID("url_", u.Scheme, send.Host(u), u.Port(), strconv.Itoa(int(path.Sum32()%mostPerHost)))
}

// origin is the scheme, host and port of a URL.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + send.Host(u) + ":" + u.Port()
}
