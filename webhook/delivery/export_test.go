package delivery

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// The parts that tests reach into.

// Receiver is one that a receiverLog tells of.
type Receiver struct{ log receiverLog }

func NewReceiver(log *slog.Logger, now func() time.Time) *Receiver {
	return &Receiver{receiverLog{log: log, now: now, by: map[string]*receiverState{}}}
}

// Answers is an attempt that is answered so.
func (r *Receiver) Answers(status int) {
	a := send.Attempt{Status: status}
	if status != http.StatusNoContent {
		a.Error = send.ErrorStatus
	}
	r.log.attempted(&Subscription{ID: "sub_a", URL: "https://hooks.example/", Consumer: "sub_a"}, a, false)
}

// Sweep also reports how many receivers are remembered.
func (r *Receiver) Sweep() int {
	r.log.sweep(time.Hour)
	return len(r.log.by)
}

// FanOut hands events out for a service that does nothing else.
type FanOut struct{ *fanOut }

func NewFanOut(ctx context.Context, s *store.Store, events *event.Log, subscriptions Subscriptions) FanOut {
	service := &Service{store: s, events: events, subscriptions: subscriptions, records: &records{store: s}, living: ctx}
	service.others = newOthers(service, nil)
	service.consumers = consumers{s: service, all: map[string]*consumer{}, started: true}
	service.fanOut = newFanOut(service)
	return FanOut{service.fanOut}
}

// Begin begins to count what is not handed out yet, which Waiting tells.
func (f FanOut) Begin(ctx context.Context) bool           { return f.begin(ctx) }
func (f FanOut) Waiting(ctx context.Context) (int, error) { return f.waiting(ctx) }

// Opens opens a consumer that takes nothing.
func (f FanOut) Opens(name string) { f.s.consumers.all[name] = newConsumer(f.s, name) }

// Fill has memory be full.
func (f FanOut) Fill() { f.memory.Store(mostMemory) }

// Memory is how much more of it is taken than Fill has.
func (f FanOut) Memory() int64 { return f.memory.Load() - mostMemory }

func (f FanOut) Event(ctx context.Context, e *event.Event) error {
	return f.event(ctx, e, func() {})
}

// QueueAll puts into the queue what is not over, however soon.
func (f FanOut) QueueAll() {
	for _, c := range f.s.consumers.opened() {
		waiting, _ := c.overdue(0)
		for _, j := range waiting {
			f.queue(c.name, j)
		}
	}
}

// Handed is the position of the last event that counts as handed out, and InFlight how many
// deliveries do that are not safe.
func (f FanOut) Handed() uint64  { return f.handed.Load() }
func (f FanOut) InFlight() int64 { return f.inFlight.Load() }

// Spilled returns what is on its way into the queue, with how many bytes of events.
func (f FanOut) Spilled() (jobs, bytes int) {
	for _, line := range f.spill {
		for len(line) > 0 {
			j := <-line
			if jobs++; j.event != nil {
				bytes += len(j.event.Payload)
			}
		}
	}
	return jobs, bytes
}

// Out is how many items of the queue are.
func (s *Service) Out() (out int) {
	for _, c := range s.consumers.opened() {
		c.mu.Lock()
		out += c.items
		c.mu.Unlock()
	}
	return out
}

// TakeTurns takes all turns of workers, and returns what gives them back.
func (s *Service) TakeTurns(ctx context.Context) (giveBack func(), err error) {
	return func() { s.turns.Release(mostAtOnce) }, s.turns.Acquire(ctx, mostAtOnce)
}
