package delivery

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"github.com/sony/gobreaker/v2"

	"pollbridge/fleet"
	"pollbridge/store"
)

// Announcer has the other processes that deliver to the same receivers know something for a while,
// those too that come later. [fleet.Fleet] does.
type Announcer interface {
	Announce(ctx context.Context, kind, key string, message []byte, lasts time.Duration) error
	Announced(kind string, h func(fleet.Announcement))
}

const (
	verdictKind = "receiver"
	// mostVerdicts wait to be announced; of more, other processes find out for themselves.
	mostVerdicts = 256
	wellFor      = time.Second // who comes later need not know
)

// verdict is what a process has found out about the receiver of a consumer.
type verdict struct {
	By   string `json:"by"`
	Well bool   `json:"well,omitempty"`
}

// others are the other processes, which share what they find out about receivers.
type others struct {
	s        *Service
	announce Announcer // nil: there are none
	self     string
	found    chan found

	mu   sync.Mutex
	fail map[string]failing // by the name of the consumer; guarded by mu
}

// found is what this process has found out.
type found struct {
	consumer string
	state    gobreaker.State
}

// failing is a receiver that another process leaves alone.
type failing struct {
	verdict
	until time.Time
}

func newOthers(s *Service, a Announcer) *others {
	o := &others{s: s, announce: a, self: nuid.Next(), found: make(chan found, mostVerdicts), fail: map[string]failing{}}
	if a != nil {
		a.Announced(verdictKind, o.hear)
	}
	return o
}

// tell has others know of a breaker. It does not wait.
func (o *others) tell(consumer string, state gobreaker.State) {
	if o.announce == nil {
		return
	}
	select {
	case o.found <- found{consumer, state}:
	default:
	}
}

// tellUntilClosed announces what was found out.
func (o *others) tellUntilClosed() {
	for {
		select {
		case <-o.s.living.Done():
			return
		case f := <-o.found:
			o.tellOne(f)
		}
	}
}

func (o *others) tellOne(f found) {
	ctx, cancel := context.WithTimeout(o.s.living, storeTimeout)
	defer cancel()
	v := verdict{By: o.self, Well: f.state == gobreaker.StateClosed}
	if err := o.announce.Announce(ctx, verdictKind, f.consumer, store.JSON(v), o.lasts(f.state)); err != nil {
		o.s.log.Debug("other processes do not know how a receiver is", "queue", f.consumer, "error", err)
	}
}

// lasts is for how long others leave it to this process to try a receiver: longer than it takes it,
// unless it ends before.
func (o *others) lasts(state gobreaker.State) time.Duration {
	switch state {
	case gobreaker.StateOpen:
		return o.s.openFor + o.s.openFor/2
	case gobreaker.StateHalfOpen:
		return o.s.cfg.Timeout + o.s.openFor/2
	}
	return wellFor
}

// hear is told what a process has found out.
func (o *others) hear(a fleet.Announcement) {
	var v verdict
	if a.Left > 0 && (json.Unmarshal(a.Message, &v) != nil || v.By == o.self) {
		return
	}
	o.mu.Lock()
	if a.Left == 0 || v.Well {
		delete(o.fail, a.Key)
	} else {
		o.fail[a.Key] = failing{v, time.Now().Add(a.Left)}
	}
	o.mu.Unlock()
	if c := o.s.consumers.get(a.Key); c != nil && a.Left > 0 {
		c.breaker.hear(v, a.Left)
		c.wakeUp()
	}
}

// told returns what others have found out about the receiver of a consumer that is opened.
func (o *others) told(consumer string) (v verdict, left time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fail[consumer]
	return f.verdict, time.Until(f.until)
}
