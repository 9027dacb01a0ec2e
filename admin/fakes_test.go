package admin_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pollbridge/admin"
	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
)

var someTime = time.Date(2026, 11, 23, 8, 15, 30, 0, time.UTC)

// fakes are services that keep everything in memory.
type fakes struct {
	mu            sync.Mutex
	subscriptions []webhook.Subscription
	created       []webhook.NewSubscription
	changes       []webhook.SubscriptionPatch
	attached      []webhook.AttachOptions
	sessions      []watch.Session
	credentials   []string // of the sessions
	full          error    // what watching returns
	polling       watch.Polling
	deliveries    []delivery.Delivery
	outcomes      map[string]delivery.Outcomes
	filters       []string
	kept          []string // the sessions of filters, as they came
	recovered     time.Time
	answers       map[string]*session.Observation
	events        []webhook.Event
	news          chan struct{} // closed and replaced at every event
	waiting       chan struct{} // gets one for each reader that begins to wait, if there is room
	left          chan struct{} // gets one for each reader whose wait ended without an event
	fail          error         // what everything returns
}

func newFakes() *fakes {
	return &fakes{
		answers: map[string]*session.Observation{}, news: make(chan struct{}),
		waiting: make(chan struct{}, 100), left: make(chan struct{}, 100),
	}
}

func (f *fakes) services() *admin.Services {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		panic(err)
	}
	return &admin.Services{Subscriptions: f, Deliveries: f, Sessions: watched{f}, Answers: kept{f}, Table: table, Events: f, Stats: f.stats, Replicas: f.replicas, Schedule: f.schedule}
}

// begin locks; the caller unlocks what it returns.
func (f *fakes) begin() (unlock func(), err error) {
	f.mu.Lock()
	return f.mu.Unlock, f.fail
}

func id(prefix string, n int) string { return fmt.Sprintf("%s%026d", prefix, n) }

// newest is a part of a list, the last first.
func newest[T any](all []T, after string, limit int) ([]T, string, error) {
	end := len(all)
	if after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 || n > len(all) {
			return nil, "", &webhook.FieldError{Field: "after", Problem: "want a cursor as it was answered"}
		}
		end = n
	}
	start := max(0, end-limit)
	part := slices.Clone(all[start:end])
	slices.Reverse(part)
	if start == 0 {
		return part, "", nil
	}
	return part, strconv.Itoa(start), nil
}

func (f *fakes) Create(_ context.Context, n webhook.NewSubscription) (webhook.Subscription, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return webhook.Subscription{}, err
	}
	if !strings.HasPrefix(n.URL, "https://") {
		return webhook.Subscription{}, &webhook.FieldError{Field: "url", Problem: "want an https URL"}
	}
	f.created = append(f.created, n)
	s := webhook.Subscription{
		ID: id("sub_", len(f.subscriptions)+1), URL: n.URL, Events: n.Events, Endpoints: n.Endpoints,
		Enabled: true, Signature: webhook.SignatureV1, Created: someTime, Updated: someTime,
	}
	f.subscriptions = append(f.subscriptions, s)
	s.Secret = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXc="
	return s, nil
}

func (f *fakes) Check(v webhook.Subscription) (err error) {
	if v.URL != "" && !strings.HasPrefix(v.URL, "https://") {
		err = &webhook.FieldError{Field: "url", Problem: "want an https URL"}
	}
	for _, name := range slices.Sorted(maps.Keys(v.Headers)) {
		if strings.HasPrefix(name, "Webhook-") {
			err = errors.Join(err, &webhook.FieldError{Field: "headers." + name, Problem: "is reserved"})
		}
	}
	return err
}

func (f *fakes) Outcomes(_ context.Context, ids []string) (map[string]delivery.Outcomes, error) {
	unlock, err := f.begin()
	defer unlock()
	all := map[string]delivery.Outcomes{}
	for _, id := range ids {
		if o, known := f.outcomes[id]; known {
			all[id] = o
		}
	}
	return all, err
}

func (f *fakes) find(wanted string) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	i := slices.IndexFunc(f.subscriptions, func(s webhook.Subscription) bool { return s.ID == wanted })
	if i < 0 {
		return 0, fmt.Errorf("fake: %w", webhook.ErrNotFound)
	}
	return i, nil
}

func (f *fakes) Get(_ context.Context, wanted string) (webhook.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, err := f.find(wanted)
	if err != nil {
		return webhook.Subscription{}, err
	}
	return f.subscriptions[i], nil
}

func (f *fakes) List(_ context.Context, after string, limit int) ([]webhook.Subscription, string, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return nil, "", err
	}
	return newest(f.subscriptions, after, limit)
}

func (f *fakes) Update(_ context.Context, wanted string, change webhook.SubscriptionPatch) (webhook.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, err := f.find(wanted)
	if err != nil {
		return webhook.Subscription{}, err
	}
	f.changes = append(f.changes, change)
	if change.Description != nil {
		f.subscriptions[i].Description = *change.Description
	}
	return f.subscriptions[i], nil
}

func (f *fakes) Delete(_ context.Context, wanted string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, err := f.find(wanted)
	if err == nil {
		f.subscriptions = slices.Delete(f.subscriptions, i, i+1)
	}
	return err
}

func (f *fakes) RotateSecret(_ context.Context, wanted string) (webhook.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, err := f.find(wanted)
	if err != nil {
		return webhook.Subscription{}, err
	}
	s := f.subscriptions[i]
	s.Secret = "whsec_cm90YXRlZC1yb3RhdGVkLXJvdGF0ZWQ="
	return s, nil
}

func (f *fakes) Test(_ context.Context, wanted string) (send.Attempt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(wanted); err != nil {
		return send.Attempt{}, err
	}
	return send.Attempt{At: someTime, Duration: 12 * time.Millisecond, Status: 500, Error: "status", Answer: "no \xff thanks"}, nil
}

func (f *fakes) Recover(_ context.Context, wanted string, since time.Time, from string) (int, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.find(wanted)
	f.recovered = since
	if from == "" {
		return 3, "17", err
	}
	return 2, "", err
}

func (f *fakes) Deliveries(_ context.Context, filter delivery.Filter, before string, limit int) ([]delivery.Delivery, string, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return nil, "", err
	}
	f.filters = append(f.filters, fmt.Sprint(filter))
	f.kept = append(f.kept, filter.Session)
	return newest(f.deliveries, before, limit)
}

func (f *fakes) Delivery(_ context.Context, wanted string) (delivery.Delivery, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return delivery.Delivery{}, err
	}
	for _, d := range f.deliveries {
		if d.ID == wanted {
			d.Attempts = []send.Attempt{{At: someTime, Error: "timeout"}, {At: someTime, Status: 200, Answer: "\xff"}}
			return d, nil
		}
	}
	return delivery.Delivery{}, webhook.ErrNotFound
}

func (f *fakes) Redeliver(ctx context.Context, wanted string) (delivery.Delivery, error) {
	d, err := f.Delivery(ctx, wanted)
	if err == nil && d.State == delivery.Waiting {
		return d, webhook.ErrUnderWay
	}
	d.State = delivery.Waiting
	return d, err
}

func (f *fakes) Attach(_ context.Context, subject event.Subject, o webhook.AttachOptions) (webhook.Subscription, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return webhook.Subscription{}, err
	}
	if !strings.HasPrefix(o.URL, "https://") {
		return webhook.Subscription{}, &webhook.FieldError{Field: "url", Problem: "want an https URL"}
	}
	f.attached = append(f.attached, o)
	for _, s := range f.subscriptions {
		if s.Session == subject.Session && s.URL == o.URL {
			return s, nil
		}
	}
	s := webhook.Subscription{ID: id("sub_", 7), URL: o.URL, Session: subject.Session}
	f.subscriptions = append(f.subscriptions, s)
	s.Secret = "whsec_b25lLW9uZS1vbmUtb25lLW9uZS1vbmU="
	return s, nil
}

// watched is the part of the fakes that is a watcher.
type watched struct{ *fakes }

func (f watched) Subject(v *session.Variant) event.Subject {
	return event.Subject{Session: "ses_of_" + v.Token, Endpoint: v.Endpoint.Name, Account: "acc_1"}
}

func (f watched) Watch(_ context.Context, v *session.Variant) (watch.Session, error) {
	unlock, err := f.begin()
	defer unlock()
	if err = cmp.Or(err, f.full); err != nil {
		return watch.Session{}, err
	}
	s := watch.Session{
		ID: f.Subject(v).Session, Account: "acc_1", Endpoint: v.Endpoint.Name, Locale: v.Endpoint.Locales[v.Locale].Name, Token: v.Token,
		State: session.Pending, Created: someTime, Changed: someTime, Deadline: someTime.Add(time.Minute),
	}
	if !slices.Contains(f.sessions, s) {
		f.sessions = append(f.sessions, s)
	}
	f.credentials = append(f.credentials, v.Credential)
	return s, nil
}

func (f watched) Get(_ context.Context, wanted string) (watch.Session, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return watch.Session{}, err
	}
	for _, s := range f.sessions {
		if s.ID == wanted {
			return s, nil
		}
	}
	return watch.Session{}, watch.ErrNotFound
}

func (f watched) Polling(_ context.Context, wanted string) (watch.Polling, error) {
	unlock, err := f.begin()
	defer unlock()
	if f.polling == (watch.Polling{}) {
		err = cmp.Or(err, watch.ErrNotFound)
	}
	return f.polling, err
}

func (f watched) List(_ context.Context, status string, before uint64, limit int) ([]watch.Session, uint64, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return nil, 0, err
	}
	var wanted []watch.Session
	for _, s := range f.sessions {
		if status == "" || s.Status() == status {
			wanted = append(wanted, s)
		}
	}
	after := ""
	if before > 0 {
		after = strconv.FormatUint(before, 10)
	}
	page, next, err := newest(wanted, after, limit)
	n, _ := strconv.ParseUint(next, 10, 64)
	return page, n, err
}

func (f watched) Delete(ctx context.Context, wanted string) error {
	_, err := f.Get(ctx, wanted)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = slices.DeleteFunc(f.sessions, func(s watch.Session) bool { return s.ID == wanted })
	return err
}

// kept is the fakes as Answers.
type kept struct{ *fakes }

func (f kept) Of(_ context.Context, wanted string, at time.Time) (*session.Observation, error) {
	unlock, err := f.begin()
	defer unlock()
	if err != nil {
		return nil, err
	}
	if o := f.answers[wanted]; o != nil && o.At.Equal(at) {
		return o, nil
	}
	return nil, store.ErrNotFound
}

func (f *fakes) replicas() []api.Replica {
	return []api.Replica{{ID: "r1", Name: "a", Version: "1.2.3", StartedAt: someTime, State: api.ReplicaServing, Share: 1}}
}

func (f *fakes) schedule() api.Schedule {
	return api.Schedule{Schedule: "adaptive", IntervalSeconds: 1, MaxGapSeconds: 5, Curves: []api.Curve{{
		Endpoint: "smartid-sign", Since: "start", Sessions: 40, Polls: 100, PollsAtInterval: 170, Points: []api.CurvePoint{{AgeSeconds: 2, GapSeconds: 1.5, Hazard: .01}},
	}}}
}

func (f *fakes) stats(context.Context) (api.Stats, error) {
	unlock, err := f.begin()
	defer unlock()
	return api.Stats{
		Version: "1.2.3", StartedAt: someTime, Polls: api.PollStats{Asked: 10, Sent: 1, Saved: 9},
		Sessions: map[string]int{"pending": len(f.sessions)}, Breaker: "closed",
	}, err
}

// happen adds an event and wakes those that wait.
func (f *fakes) happen(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.events) + 1
	f.events = append(f.events, webhook.Event{
		ID: id("evt_", n), Cursor: strconv.Itoa(n), Type: kind, Subject: id("ses_", n),
		Payload: fmt.Appendf(nil, `{"type":%q,"data":{"session":%q,"message":"a\nb"}}`, kind, id("ses_", n)),
	})
	close(f.news)
	f.news = make(chan struct{})
}

func (f *fakes) EventsOf(_ context.Context, session string) (all []webhook.Event, err error) {
	unlock, err := f.begin()
	defer unlock()
	for _, e := range f.events {
		if e.Subject == session {
			all = append(all, e)
		}
	}
	return all, err
}

func (f *fakes) NewestEvent(context.Context) (string, error) {
	unlock, err := f.begin()
	defer unlock()
	return strconv.Itoa(len(f.events)), err
}

func (f *fakes) Events(ctx context.Context, after string, limit int, wait time.Duration) ([]webhook.Event, string, error) {
	n := 0
	if after != "" {
		var err error
		if n, err = strconv.Atoi(after); err != nil || n < 0 {
			return nil, "", &webhook.FieldError{Field: "after", Problem: "want a cursor as it was answered"}
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		f.mu.Lock()
		found := slices.Clone(f.events[min(n, len(f.events)):])
		news, err := f.news, f.fail
		f.mu.Unlock()
		found = found[:min(limit, len(found))]
		if err != nil {
			return nil, "", err
		}
		if len(found) > 0 {
			return found, found[len(found)-1].Cursor, nil
		}
		note(f.waiting)
		select {
		case <-news:
		case <-timer.C:
			return nil, after, nil
		case <-ctx.Done():
			note(f.left)
			return nil, "", ctx.Err()
		}
	}
}

func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var errSecret = errors.New("fake: cannot open /data/secret-of-the-disk with whsec_c2VjcmV0")

// fakeLogins is a bucket of logins.
type fakeLogins struct {
	mu   sync.Mutex
	kept map[string][]byte
	fail error // what everything returns
}

func (f *fakeLogins) set(fail error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *fakeLogins) Put(_ context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil && ttl == admin.LoginTime {
		f.kept[key] = value
	}
	return 1, f.fail
}

func (f *fakeLogins) Get(_ context.Context, key string) (store.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, found := f.kept[key]
	if !found && f.fail == nil {
		return store.Record{}, store.ErrNotFound
	}
	return store.Record{Value: value}, f.fail
}

func (f *fakeLogins) Delete(_ context.Context, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		delete(f.kept, key)
	}
	return f.fail
}
