package store

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// Item is a piece of work that was taken. Exactly one of Done, DoneSoon and Release must
// be called, once; after an error of Done, any of them may be.
type Item struct {
	Lane, Name string
	Value      []byte
	// Tries is how often it was handed out since the taker began, with this time. Where the
	// engine was started anew meanwhile it may be less often: 1 is the first time for sure.
	Tries int

	lane     *lane
	sequence uint64
	reply    string // guarded by lane.mu, as below: where the engine hears of the item
	round    int    // in which that was said
}

// What the engine is told about an item.
var (
	isDone     = []byte("+ACK")
	isUnderWay = []byte("+WPI")
	isReleased = []byte("-NAK")
)

// Done removes the item. When it returns nil, that is durable; an error means that
// the item may be handed out again, or may be removed all the same: it is never handed
// out again then, and Done, called again, returns nil.
func (i *Item) Done(ctx context.Context) error {
	reply := i.replyTo()
	defer i.settle()
	s := i.lane.q.s
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = s.conn.Conn().RequestWithContext(ctx, reply, isDone)
	switch {
	case err == nil:
		// The server acknowledges what it could not write, too.
		if _, err = i.lane.q.get(ctx, i.sequence); errors.Is(err, ErrNotFound) {
			return nil
		}
	case !errors.Is(err, nats.ErrNoResponders): // which says that the taker has stopped, or the server was started anew
		return s.failed("remove an item", err)
	}
	return i.lane.q.erase(ctx, i.sequence)
}

// DoneSoon removes the item, but does not wait until that is durable: after a crash it
// may be handed out again, and after the taker has stopped it is, to the next one. That
// is half the work for the engine, and enough where something else is known to be
// durable that tells that the item is done.
func (i *Item) DoneSoon() error {
	// It counts as out no longer only when the engine was told.
	defer i.settle()
	return i.tell(i.replyTo(), isDone)
}

// Renew keeps the item for another QueueConfig.Renewal. It costs no write.
func (i *Item) Renew() error {
	return i.tell(i.replyTo(), isUnderWay)
}

// Release gives the item back: it is handed out again at once, to whoever takes.
func (i *Item) Release() error {
	// Where the engine hears of it is taken in the moment from which on the item is
	// not out. If it were taken before, another consumer could be handed the item in
	// between, for one who has it no more, and nobody would release it there.
	return i.tell(i.settle(), isReleased)
}

// tell tells the engine something about the item. It hears nothing if the taker has
// stopped, and then it need not.
func (i *Item) tell(reply string, what []byte) error {
	return i.lane.q.s.failed("tell about an item", i.lane.q.s.conn.Conn().Publish(reply, what))
}

func (i *Item) replyTo() string {
	i.lane.mu.Lock()
	defer i.lane.mu.Unlock()
	return i.reply
}

// settle notes that the item is not out any more, unless it was handed out again
// meanwhile. It returns where the engine hears of the item.
func (i *Item) settle() (reply string) {
	i.lane.mu.Lock()
	reply = i.reply
	if i.lane.out[i.sequence] == i {
		delete(i.lane.out, i.sequence)
	}
	last := len(i.lane.out) == 0 && i.lane.taker == nil
	i.lane.mu.Unlock()
	if last {
		i.lane.forget()
	}
	return reply
}
