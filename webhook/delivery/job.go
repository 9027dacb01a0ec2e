package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// work is what an item of the queue says: deliver an event to a subscription.
type work struct {
	Subscription string    `json:"s"`
	Subject      string    `json:"k"`
	Event        string    `json:"e"`
	Type         string    `json:"y,omitempty"` // of the event
	Position     uint64    `json:"p"`
	Recorded     time.Time `json:"at,omitzero"` // when the event was; zero in items of earlier versions
	Round        int       `json:"r,omitzero"`
	Asked        bool      `json:"q,omitzero"` // somebody has asked for just this one
}

func workOf(subscriptionID string, e *event.Event, round int) work {
	return work{subscriptionID, e.Key, e.ID, e.Type, e.Position, e.Recorded, round, false}
}

// readWork is what an item says; without an event where it cannot be read.
func readWork(item []byte) (w work) {
	if json.Unmarshal(item, &w) != nil {
		return work{}
	}
	return w
}

// itemName tells rounds apart, and the events of a session that was erased from those
// of the same one registered again: the engine does not add the same item again so
// soon, though it was done.
func itemName(id string, position uint64, round int) string {
	if round == 0 {
		return fmt.Sprintf("%s-%d", id, position)
	}
	return fmt.Sprintf("%s-%d-%d", id, position, round)
}

// job is a delivery that a consumer deals with, as often as it takes. It comes from the log
// of events, or as an item of the queue, or as both.
type job struct {
	name  string // of its item
	work  work
	event *event.Event // nil: it has to be read
	look  bool         // something may be recorded of the delivery
	sent  *sent        // the last attempt, until that is recorded; nil: there was none

	// What follows is guarded by the mutex of the consumer.
	items  []*store.Item // that end with it; none: the log has it
	done   func()        // tells the log that it is safe; nil: it was told, or need not be
	since  time.Time     // when it came from the log
	free   func()        // tells the log that the event takes no memory any more; nil: it does not
	inHand bool          // a goroutine deals with it
	away   bool          // it was put off for a moment, and is not in line
	queued bool          // it came from the log, and goes to the queue, too
	listed bool          // its record is there, or will be, though the queue has no item
	// putAway says that the next attempt has an item of its own, or will have.
	putAway bool
	late    []*store.Item // that came after that
}

// sent is an attempt that was made.
type sent struct {
	send.Outcome
	sub     *Subscription // to which; it may be gone since
	counted bool          // in the metrics
}

var (
	errFailed = errors.New("the attempt failed")
	// errNotNow puts off a job: the receiver is left alone for a moment, there is no
	// room for the document, the store is unusable, or the service closes.
	errNotNow = errors.New("not now")
)

// size is about what a job from the log costs in memory.
func (j *job) size() int64 { return int64(len(j.event.Payload)) + 1024 }
