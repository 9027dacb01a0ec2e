package webhook

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// Service keeps subscriptions, records events and delivers them. It is safe for
// concurrent use. Create it with New.
type Service struct {
	cfg       Config
	store     *store.Store
	log       *slog.Logger
	endpoints []string
	history   time.Duration
	response  func(context.Context, string) (*session.Observation, error)

	subscriptions *store.Table
	deliveries    *store.Table
	dead          *store.Table // the keys of dead deliveries, so that they are found and counted
	events        *event.Log
	queue         *store.Queue
	renewal       time.Duration // of the queue

	sender    *send.Sender
	metrics   *metrics
	registry  *registry
	consumers consumers
	receivers receiverLog
	erased    erased
	caughtUp  sync.Map            // ids of bound subscriptions, see Attach; nil: they have
	endings   sessionLocks        // held for reading by who records, for writing by who lets go of what is attached
	writes    sessionLocks        // held for reading by who writes of a delivery, for writing by who erases
	loads     *semaphore.Weighted // bounds how many documents of unknown size are loaded at a time
	files     *semaphore.Weighted // bounds the memory of documents on their way
	room      int64               // of files

	deadMu   sync.Mutex
	deadKeys map[string]struct{} // guarded by deadMu

	mostBound    int
	disableAfter time.Duration
	openFor      time.Duration // how long a consumer's breaker stays open

	living     context.Context // ends when Close begins
	end        context.CancelFunc
	sending    context.Context // of attempts: ends when Close has waited for them
	cut        context.CancelFunc
	attempts   sync.WaitGroup
	background sync.WaitGroup
	closing    sync.Once
}

// Options is what a Service needs besides its configuration.
type Options struct {
	Store     *store.Store
	Events    *event.Log
	Log       *slog.Logger
	Registry  prometheus.Registerer
	UserAgent string // such as pollbridge/1.0
	// Endpoints are the names that subscriptions may filter by.
	Endpoints []string
	// History is how long events and deliveries are kept: store.Config.History. 0
	// means what applies by default.
	History time.Duration
	// Response returns the final answer of a session with its file. Where there is none, or
	// not any more, that is nil or the error is store.ErrNotFound; after any other error it
	// is asked again later, and what includes the file waits for that. It may be nil: then
	// no event includes a file.
	Response func(ctx context.Context, sessionID string) (*session.Observation, error)

	resolver     *net.Resolver
	roots        *x509.CertPool
	disableAfter time.Duration
	openFor      time.Duration
	room         int64
	mostBound    int
}

const (
	// mostFiles is how many bytes of documents may be on their way at a time, all
	// subscriptions together.
	mostFiles = 256 << 20
	// mostLoads is how many documents are loaded at a time. How large they are is not
	// known before.
	mostLoads = 2
	// fileTimeout is how long an attempt waits for that. Then it makes room for others
	// to the same receiver.
	fileTimeout = 30 * time.Second
	// grace is how long attempts under way get to end when the service is closed.
	grace = 3 * time.Second
)

// New opens what is stored and reads the subscriptions; ctx bounds that. Nothing is
// sent before Start. The caller must Close it.
func New(ctx context.Context, cfg Config, o Options) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	sender, err := send.New(cfg.Config, send.Options{UserAgent: o.UserAgent, Concurrency: cfg.Concurrency, Resolver: o.resolver, Roots: o.roots})
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	s := &Service{
		cfg: cfg, store: o.Store, events: o.Events, log: o.Log, endpoints: o.Endpoints, response: o.Response,
		history: cmp.Or(o.History, store.DefaultConfig().History), renewal: max(2*time.Minute, 4*cfg.Timeout),
		sender: sender, registry: newRegistry(), deadKeys: map[string]struct{}{},
		receivers: receiverLog{log: o.Log, now: time.Now, by: map[string]*receiverState{}},
		loads:     semaphore.NewWeighted(mostLoads), room: cmp.Or(o.room, mostFiles),
		mostBound: cmp.Or(o.mostBound, mostBound), disableAfter: cmp.Or(o.disableAfter, disableAfter), openFor: cmp.Or(o.openFor, 5*time.Second),
	}
	s.files = semaphore.NewWeighted(s.room)
	s.consumers = consumers{s: s, all: map[string]*consumer{}}
	s.living, s.end = context.WithCancel(context.Background())
	s.sending, s.cut = context.WithCancel(context.Background())
	if err := s.openStore(ctx); err != nil {
		s.end()
		s.cut()
		return nil, fmt.Errorf("webhook: %w", err)
	}
	s.metrics = newMetrics(o.Registry, s)
	return s, nil
}

func (s *Service) openStore(ctx context.Context) error {
	var errs [4]error
	s.subscriptions, errs[0] = s.store.Table(ctx, store.TableConfig{Name: "subscriptions"})
	s.deliveries, errs[1] = s.store.Table(ctx, store.TableConfig{Name: "deliveries", MaxAge: s.history})
	s.dead, errs[2] = s.store.Table(ctx, store.TableConfig{Name: "dead", MaxAge: s.history})
	s.queue, errs[3] = s.store.Queue(ctx, store.QueueConfig{Name: "deliveries", AckWait: s.renewal})
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return errors.Join(s.subscriptions.Watch(s.living, ">", s.subscriptionChanged), s.dead.Watch(s.living, ">", s.deadChanged))
}

func (s *Service) subscriptionChanged(c store.Change) {
	if c.Gone {
		s.registry.remove(c.Key, c.Revision, true)
		s.caughtUp.Delete(c.Key)
		return
	}
	sub, err := s.readSubscription(c.Record)
	if err != nil {
		s.log.Error("skipping an unreadable subscription", "error", err)
		return
	}
	s.registry.put(sub)
}

func (s *Service) deadChanged(c store.Change) {
	s.deadMu.Lock()
	defer s.deadMu.Unlock()
	if c.Gone {
		delete(s.deadKeys, c.Key)
		return
	}
	s.deadKeys[c.Key] = struct{}{}
}

func (s *Service) deadCount() int {
	s.deadMu.Lock()
	defer s.deadMu.Unlock()
	return len(s.deadKeys)
}

// Start begins to deliver: what was left undone comes first. It may be called once.
func (s *Service) Start() error {
	if s.living.Err() != nil {
		return errors.New("webhook: closed")
	}
	s.consumers.start()
	s.background.Go(func() {
		if err := s.events.Follow(s.living, "fanout", s.fanOut); err != nil && s.living.Err() == nil {
			s.log.Error("event delivery has stopped", "error", err)
		}
	})
	s.background.Go(s.tidy)
	return nil
}

func (s *Service) tidy() {
	tick := time.NewTicker(idleAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-s.living.Done():
			return
		case <-tick.C:
			s.consumers.closeIdle(idleAfter)
			s.receivers.sweep(s.quiet())
		}
	}
}

// Close stops delivering. Attempts under way get a moment to end; what is not done is
// given back and delivered after the next start. It may be called more than once.
func (s *Service) Close() {
	s.closing.Do(func() {
		s.consumers.stop()
		s.background.Wait()
		tooLong := time.AfterFunc(grace, s.cut)
		s.attempts.Wait()
		tooLong.Stop()
		s.cut()
		s.sender.Close()
	})
}

// Wanted reports whether a subscription covers events of that session, be it disabled. It
// asks memory only.
func (s *Service) Wanted(subject event.Subject) bool { return s.registry.wanted(subject) }

// payloadFor returns what is sent to a subscription, and a function to call when it was.
// It waits for room. The error is errNotNow if there is none for long, or the service
// closes; the final answer may also be one that cannot be read now.
func (s *Service) payloadFor(sub *subscription, e *event.Event) (payload []byte, finish func(), err error) {
	if !sub.IncludeFile || !e.Final || s.response == nil {
		return e.Payload, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(s.living, fileTimeout)
	defer cancel()
	if s.loads.Acquire(ctx, 1) != nil {
		return nil, nil, errNotNow
	}
	// What was loaded waits for its room before the next one is: it is not thrown away.
	defer s.loads.Release(1)
	o, err := s.finalAnswer(e.Key)
	if err != nil {
		return nil, nil, err
	}
	if o == nil {
		return e.Payload, func() {}, nil // file_omitted says so
	}
	room := min(s.room, int64(3*len(o.Body)))
	if s.files.Acquire(ctx, room) != nil {
		return nil, nil, errNotNow
	}
	return event.WithFile(e.Payload, o), func() { s.files.Release(room) }, nil
}

// finalAnswer returns nil where there is none with its content, or none that can ever be
// read. After an error there may be one.
func (s *Service) finalAnswer(sessionID string) (*session.Observation, error) {
	ctx, cancel := context.WithTimeout(s.sending, storeTimeout)
	defer cancel()
	o, err := s.response(ctx, sessionID)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged):
		return nil, nil
	case s.sending.Err() != nil:
		return nil, errNotNow
	case err != nil:
		return nil, fmt.Errorf("reading the final answer: %w", err)
	case o == nil || o.Content == nil:
		return nil, nil
	}
	return o, nil
}

// spread is the part of a wait by which jitter changes it at most.
const spread = 0.1

// jitter spreads a wait, so that what failed together is not repeated together.
func jitter(wait time.Duration) time.Duration {
	return time.Duration(float64(wait) * (1 - spread + 2*spread*rand.Float64()))
}

func hostOfURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return send.Host(u)
}
