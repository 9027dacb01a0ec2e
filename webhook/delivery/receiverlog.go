package delivery

import (
	"log/slog"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pollbridge/webhook/send"
)

// receiverLog tells operators how receivers fare: that one fails, each change after
// that, and its recovery, but not each attempt. What changes too often is told later, as
// it is then. It is safe for concurrent use.
type receiverLog struct {
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	by map[string]*receiverState // by consumer; guarded by mu
}

// Lines about one receiver: so many at once, then one a minute.
const (
	receiverLines = 6
	receiverLine  = time.Minute
)

type receiverState struct {
	is, told condition
	since    time.Time // when it began to fail
	last     time.Time // of the last attempt
	lines    *rate.Limiter

	subscription, host string // of the last attempt
	attempt            send.Attempt
}

// condition is what is worth a line when it changes. The zero value: it works.
type condition struct {
	failure  string // what kind it is, and of which host
	heldBack bool
	givingUp bool
}

// failingBefore is what an earlier process has told.
const failingBefore = "before the start"

// attempted notes an attempt. heldBack means that the next ones wait for the breaker.
func (r *receiverLog) attempted(sub *Subscription, a send.Attempt, heldBack bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.by[sub.Consumer]
	if s == nil {
		if a.Succeeded() && sub.FailingSince.IsZero() {
			return
		}
		s = &receiverState{lines: rate.NewLimiter(rate.Every(receiverLine), receiverLines), since: sub.FailingSince}
		if !s.since.IsZero() {
			s.is.failure = failingBefore
			s.told = s.is
		}
		r.by[sub.Consumer] = s
	}
	s.last = r.now()
	s.subscription, s.host, s.attempt = sub.ID, send.HostOf(sub.URL), a
	if a.Succeeded() {
		s.is = condition{}
	} else {
		if s.is.failure == "" {
			s.since = a.At
		}
		s.is.failure = s.host + a.Error + strconv.Itoa(a.Status)
		s.is.heldBack = s.is.heldBack || heldBack
	}
	r.tellLocked(s)
}

// gaveUp notes that a delivery has no retry left.
func (r *receiverLog) gaveUp(sub *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.by[sub.Consumer]; s != nil && s.is.failure != "" {
		s.is.givingUp = true
		r.tellLocked(s)
	}
}

func (r *receiverLog) tellLocked(s *receiverState) {
	if s.is == s.told || !s.lines.AllowN(r.now(), 1) {
		return
	}
	log := r.log.With("subscription", s.subscription, "host", s.host)
	if s.is.failure == "" {
		log.Info("webhook receiver has recovered", "failing_since", s.since)
	} else {
		log = log.With("error", s.attempt.Error, "detail", s.attempt.Detail)
		switch {
		case s.is.givingUp && !s.told.givingUp:
			log.Warn("webhook deliveries are given up after their last retry", "failing_since", s.since)
		case s.is.heldBack && !s.told.heldBack:
			log.Warn("webhook receiver keeps failing, attempts are held back", "failing_since", s.since)
		case s.told.failure == "" || s.told.failure == failingBefore:
			log.Warn("webhook receiver is failing", "failing_since", s.since)
		default:
			log.Warn("webhook receiver is failing in another way", "failing_since", s.since)
		}
	}
	s.told = s.is
}

// forget is called when a subscription starts over, or nothing is sent to it any more.
func (r *receiverLog) forget(sub *Subscription) {
	if sub.SharesConsumer {
		return // the consumer is not its own
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, sub.Consumer)
}

// sweep tells what had to wait, and forgets receivers that work, and those without an
// attempt for that long.
func (r *receiverLog) sweep(quiet time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for name, s := range r.by {
		r.tellLocked(s)
		works := s.told == condition{} && s.is == s.told && s.lines.TokensAt(now) >= receiverLines
		if works || now.Sub(s.last) > quiet {
			delete(r.by, name)
		}
	}
}
