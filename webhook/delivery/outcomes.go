package delivery

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/store"
	"pollbridge/webhook/send"
)

// Outcomes is how attempts at the receiver of a subscription have ended in the last 24 hours, and
// what waits for it.
type Outcomes struct {
	Attempts, Succeeded int
	Waiting             int       // deliveries: for their turn, or for a retry
	LastError           string    // what went wrong at the last attempt that failed, in words; empty: none has
	LastErrorAt         time.Time // when that attempt was made
}

const (
	// outcomesFor is of how many hours outcomes are counted, with the one that runs.
	outcomesFor = 24
	// outcomesEvery is how often what was counted is stored: others hear of it, and a crash takes
	// no more with it.
	outcomesEvery = time.Minute
)

// outcomes counts how attempts end, by subscription and hour. Each process stores what it has
// counted under a name of its own and hears what others have, those of before a restart among them.
// What is attached to one session is not counted: it is over with that. It is safe for concurrent
// use.
type outcomes struct {
	store   *store.Store
	bucket  *store.Bucket
	process string

	mu     sync.Mutex
	here   map[string]counts            // by subscription; guarded by mu, as all below
	others map[string]map[string]counts // by subscription and process
	news   map[string]bool              // what of here is not stored
}

// counts is what one process has counted of one subscription. It is stored as JSON.
type counts struct {
	Hours   map[int64]count `json:"hours"` // by the hour since 1970
	Error   string          `json:"error,omitempty"`
	ErrorAt time.Time       `json:"error_at,omitzero"`
}

type count struct {
	Attempts  int `json:"attempts"`
	Succeeded int `json:"succeeded"`
}

// openOutcomes reads what was counted; watching is for how long it hears of others.
func openOutcomes(ctx, watching context.Context, s *store.Store) (*outcomes, error) {
	o := &outcomes{
		store: s, process: rand.Text(),
		here: map[string]counts{}, others: map[string]map[string]counts{}, news: map[string]bool{},
	}
	var err error
	if o.bucket, err = s.Bucket(ctx, store.BucketConfig{Name: "outcomes", MaxAge: outcomesFor * time.Hour}); err != nil {
		return nil, err
	}
	_, err = o.bucket.Watch(watching, ">", o.heard)
	return o, err
}

// heard is told of what a process has stored.
func (o *outcomes) heard(c store.Change) {
	subscription, process, _ := strings.Cut(c.Key, ".")
	if process == o.process {
		return
	}
	var counted counts
	if !c.Gone && json.Unmarshal(c.Value, &counted) != nil {
		return // of another version
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.Gone {
		delete(o.others[subscription], process)
		return
	}
	if o.others[subscription] == nil {
		o.others[subscription] = map[string]counts{}
	}
	o.others[subscription][process] = counted
}

func hourOf(at time.Time) int64 { return at.Unix() / 3600 }

// add counts an attempt.
func (o *outcomes) add(subscription string, a send.Attempt) {
	hour := hourOf(o.store.Now())
	o.mu.Lock()
	defer o.mu.Unlock()
	c, known := o.here[subscription]
	if !known {
		c.Hours = map[int64]count{}
	}
	now := c.Hours[hour]
	now.Attempts++
	if a.Succeeded() {
		now.Succeeded++
	} else {
		c.Error, c.ErrorAt = cmp.Or(a.Detail, a.Error), a.At
	}
	c.Hours[hour] = now
	o.here[subscription] = c
	o.news[subscription] = true
}

// of sums up what all processes have counted of a subscription.
func (o *outcomes) of(subscription string) (sum Outcomes) {
	first := hourOf(o.store.Now()) - outcomesFor + 1
	o.mu.Lock()
	defer o.mu.Unlock()
	sum.add(o.here[subscription], first)
	for _, c := range o.others[subscription] {
		sum.add(c, first)
	}
	return sum
}

func (sum *Outcomes) add(c counts, first int64) {
	for hour, n := range c.Hours {
		if hour >= first {
			sum.Attempts += n.Attempts
			sum.Succeeded += n.Succeeded
		}
	}
	if hourOf(c.ErrorAt) >= first && c.ErrorAt.After(sum.LastErrorAt) {
		sum.LastError, sum.LastErrorAt = c.Error, c.ErrorAt
	}
}

// keep stores what was counted since it was stored last, and forgets what is too old.
func (o *outcomes) keep(ctx context.Context) {
	o.forget()
	for {
		subscription, value := o.next()
		if value == nil {
			return
		}
		if _, err := o.bucket.Put(store.Unhurried(ctx), subscription+"."+o.process, value, 0); err != nil {
			o.mu.Lock()
			o.news[subscription] = true
			o.mu.Unlock()
			return // the others, too, are stored the next time
		}
	}
}

// next takes one that has news, and returns what to store of it; nil where there is none.
func (o *outcomes) next() (subscription string, value []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for subscription := range o.news {
		delete(o.news, subscription)
		return subscription, store.JSON(o.here[subscription])
	}
	return "", nil
}

// forget forgets hours that do not count any more.
func (o *outcomes) forget() {
	first := hourOf(o.store.Now()) - outcomesFor + 1
	o.mu.Lock()
	defer o.mu.Unlock()
	old := func(hour int64, _ count) bool { return hour < first }
	for subscription, c := range o.here {
		if maps.DeleteFunc(c.Hours, old); len(c.Hours) == 0 {
			delete(o.here, subscription)
		}
	}
	for subscription, processes := range o.others {
		for process, c := range processes {
			if maps.DeleteFunc(c.Hours, old); len(c.Hours) == 0 {
				delete(processes, process)
			}
		}
		if len(processes) == 0 {
			delete(o.others, subscription)
		}
	}
}

// Outcomes returns how sending to each of some subscriptions goes.
func (s *Service) Outcomes(ctx context.Context, subs []*Subscription) ([]Outcomes, error) {
	all := make([]Outcomes, len(subs))
	now, later, err := s.queue.Waiting(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("webhook: counting deliveries: %w", err)
	}
	counting, ctx := errgroup.WithContext(ctx)
	counting.SetLimit(8)
	for i, sub := range subs {
		all[i] = s.outcomes.of(sub.ID)
		if c := s.consumers.get(sub.Consumer); c != nil {
			all[i].Waiting = c.inMemory()
		}
		if now+later == 0 {
			continue
		}
		counting.Go(func() error {
			now, later, err := s.queue.Waiting(ctx, sub.Consumer)
			all[i].Waiting += now + later
			return err
		})
	}
	if err := counting.Wait(); err != nil {
		return nil, fmt.Errorf("webhook: counting deliveries: %w", err)
	}
	return all, nil
}

// inMemory is how many jobs the queue knows nothing of.
func (c *consumer) inMemory() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		if len(j.items) == 0 && !j.queued && !j.putAway {
			n++
		}
	}
	return n
}
