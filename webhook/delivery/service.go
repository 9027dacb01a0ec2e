package delivery

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/tracing"
	"pollbridge/webhook/send"
)

// Service delivers events to subscriptions. It is safe for concurrent use. Create it with
// New.
type Service struct {
	cfg           Config
	store         *store.Store
	log           *slog.Logger
	events        *event.Log
	subscriptions Subscriptions

	records     *records
	queue       *store.Queue
	sender      *send.Sender
	files       *files
	metrics     *metrics
	outcomes    *outcomes
	consumers   consumers
	others      *others
	fanOut      *fanOut
	receivers   receiverLog
	openFor     time.Duration // how long a consumer's breaker stays open
	recoverTime time.Duration
	idle        time.Duration // how long a consumer without work is kept
	quiet       time.Duration // after which a receiver is forgotten

	turns      *semaphore.Weighted // of workers that ask the store
	living     context.Context     // ends when nothing is begun any more
	end        context.CancelFunc
	sending    context.Context // of attempts: ends when Close has waited for them
	cut        context.CancelFunc
	attempts   sync.WaitGroup
	background sync.WaitGroup // what ends with living
	finishing  sync.WaitGroup // what ends with sending, or when no attempt is under way any more
	closing    sync.Once
}

// Options is what a Service needs besides its configuration. All of it is needed where
// nothing else is said.
type Options struct {
	Store         *store.Store
	Events        *event.Log
	Subscriptions Subscriptions
	Log           *slog.Logger
	Registry      prometheus.Registerer
	UserAgent     string          // such as pollbridge/1.0
	History       time.Duration   // how long events and deliveries are kept
	Quiet         time.Duration   // after which the log tells of a receiver anew
	Answer        AnswerFunc      // may be nil: then no event includes a file
	Others        Announcer       // nil: this process delivers alone
	Tracer        *tracing.Tracer // makes the spans of attempts; nil: there are none

	Resolver *net.Resolver  // nil: the system's
	Roots    *x509.CertPool // see send.Options
	OpenFor  time.Duration  // how long a breaker stays open; 0: 5 s
	Idle     time.Duration  // after which a consumer without work is closed; 0: a minute
	Recover  time.Duration  // that one call of Recover may take; 0: 15 s
	Room     int64          // for documents on their way; 0: 256 MiB
}

// ackWait is after which time what a process has that does not say so any more goes to others.
const ackWait = 10 * time.Second

// New opens what is stored; ctx bounds that. Nothing is sent before Start. The caller must
// Close it.
func New(ctx context.Context, cfg Config, o Options) (*Service, error) {
	sender, err := send.New(cfg.Config, send.Options{UserAgent: o.UserAgent, Concurrency: cfg.Concurrency, Resolver: o.Resolver, Roots: o.Roots, Tracer: o.Tracer})
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, store: o.Store, log: o.Log, events: o.Events, subscriptions: o.Subscriptions,
		sender: sender, receivers: receiverLog{log: o.Log, now: time.Now, by: map[string]*receiverState{}},
		openFor: cmp.Or(o.OpenFor, 5*time.Second), idle: cmp.Or(o.Idle, idleAfter), quiet: o.Quiet, recoverTime: cmp.Or(o.Recover, recoverTime),
	}
	s.turns = semaphore.NewWeighted(mostAtOnce)
	s.consumers, s.fanOut = consumers{s: s, all: map[string]*consumer{}}, newFanOut(s)
	s.others = newOthers(s, o.Others)
	s.living, s.end = context.WithCancel(context.Background())
	s.sending, s.cut = context.WithCancel(context.Background())
	room := cmp.Or(o.Room, mostFiles)
	s.files = &files{
		answer: o.Answer, living: s.living, sending: s.sending, room: room,
		loads: semaphore.NewWeighted(mostLoads), bytes: semaphore.NewWeighted(room),
	}
	var errs [3]error
	s.records, errs[0] = openRecords(ctx, s.living, o.Store, o.Events, o.History)
	s.queue, errs[1] = o.Store.Queue(ctx, store.QueueConfig{Name: "deliveries", AckWait: ackWait})
	s.outcomes, errs[2] = openOutcomes(ctx, s.living, o.Store)
	if err := errors.Join(errs[:]...); err != nil {
		s.end()
		s.cut()
		return nil, err
	}
	s.metrics = newMetrics(o.Registry, s)
	return s, nil
}

// Start begins to deliver: what was left undone comes first. It may be called once.
func (s *Service) Start() error {
	if s.living.Err() != nil {
		return errors.New("webhook: closed")
	}
	s.consumers.start()
	ctx, cancel := storeContext()
	defer cancel()
	s.fanOut.start(ctx)
	s.background.Go(func() { every(s.living, s.idle/2, s.tidy) })
	s.background.Go(func() { every(s.living, outcomesEvery, s.keepOutcomes) })
	s.background.Go(s.others.tellUntilClosed)
	s.finishing.Go(func() { every(s.sending, ackWait/4, s.renew) })
	return nil
}

// every calls f again and again until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

func (s *Service) keepOutcomes() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.outcomes.keep(ctx)
}

func (s *Service) tidy() {
	s.consumers.closeIdle(s.idle)
	s.receivers.sweep(s.quiet)
}

// renew keeps the items that wait in memory, or are being dealt with.
func (s *Service) renew() {
	for _, c := range s.consumers.opened() {
		c.renew()
	}
}

// Stop begins nothing any more. Close need not follow at once: what was asked of the queue runs out
// meanwhile.
func (s *Service) Stop() { s.consumers.stop() }

// Close stops delivering. Attempts under way have grace to end; what is not done is
// given back and delivered after the next start. It may be called more than once.
func (s *Service) Close(grace time.Duration) {
	s.closing.Do(func() {
		s.Stop()
		s.background.Wait()
		tooLong := time.AfterFunc(grace, s.cut)
		s.attempts.Wait()
		tooLong.Stop()
		s.cut()
		s.finishing.Wait()
		s.keepOutcomes()
		s.sender.Close()
	})
}

// CheckURL returns a URL that webhooks may go to, see send.Sender.
func (s *Service) CheckURL(raw string) (*url.URL, error) { return s.sender.CheckURL(raw) }

// Send makes one attempt at once which is no delivery, and returns what happened.
func (s *Service) Send(ctx context.Context, sub *Subscription, id string, payload []byte) send.Attempt {
	m := s.messageTo(sub, id, payload)
	m.Trace = tracing.Delivery{Type: event.TypeTest, Subscription: sub.ID}
	return s.sender.Send(ctx, m).Attempt
}

func (s *Service) messageTo(sub *Subscription, id string, payload []byte) send.Message {
	return send.Message{URL: sub.URL, ID: id, Payload: payload, Headers: sub.Headers, Keys: sub.Keys(s.store.Now())}
}

// Begins is told that a subscription starts over: it was enabled.
func (s *Service) Begins(sub *Subscription) {
	s.receivers.forget(sub)
	s.consumers.ensure(sub.Consumer)
}

// Ends is told that nothing is sent to a subscription any more.
func (s *Service) Ends(sub *Subscription) { s.receivers.forget(sub) }

// subscription returns one, or nil if it is certain that there is none any more.
func (s *Service) subscription(ctx context.Context, id string) (*Subscription, error) {
	if sub := s.subscriptions.Subscription(id); sub != nil {
		return sub, nil
	}
	if err := s.subscriptions.Current(ctx); err != nil {
		return nil, err
	}
	return s.subscriptions.Subscription(id), nil
}

// Of returns the delivery of an event to a subscription; known is false where nothing is
// recorded of it.
func (s *Service) Of(ctx context.Context, subscriptionID string, e *event.Event) (d Delivery, known bool, err error) {
	found, err := s.records.of(ctx, workOf(subscriptionID, e, 0))
	if err != nil {
		return Delivery{}, false, fmt.Errorf("webhook: %w", err)
	}
	return found.Delivery, found.revision > 0, nil
}

// Stats returns what there is to know at a glance. After an error only what is in the store
// is missing.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	st := Stats{Dead: s.records.deadCount()}
	for _, c := range s.consumers.opened() {
		st.Consumers++
		st.AttemptsUnderWay += c.underWay()
		if c.breaker.State() != gobreaker.StateClosed {
			st.OpenBreakers++
		}
	}
	var err error
	if st.BacklogNow, st.BacklogLater, err = s.waiting(ctx); err != nil {
		return st, fmt.Errorf("webhook: counting deliveries: %w", err)
	}
	return st, nil
}

// waiting is how many deliveries are not over: to be tried now, or later.
func (s *Service) waiting(ctx context.Context) (now, later int, err error) {
	coming, err := s.fanOut.waiting(ctx) // first, or what goes on to the queue would be missed
	if err != nil {
		return 0, 0, err
	}
	now, later, err = s.queue.Waiting(ctx, "")
	return now + coming, later, err
}
