package store

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// Item is a piece of work that was handed out. Exactly one of DoubleAck, Ack and Nak must
// be called, once; after an error of DoubleAck, any of them may be.
type Item struct {
	Subject, Name string
	Value         []byte
	// Deliveries is how often it was handed out since the consumer began, with this time.
	// Where the server was started anew meanwhile it may be less often: 1 is the first time
	// for sure.
	Deliveries int

	pending  *pending
	sequence uint64
	reply    string // guarded by pending.mu, as below: where the server hears of the item
	round    int    // in which that was said
}

// What the server is told about an item.
var (
	ack        = []byte("+ACK")
	inProgress = []byte("+WPI")
	nak        = []byte("-NAK")
)

// DoubleAck removes the item. When it returns nil, that is durable; an error means that
// the item may be handed out again, or may be removed all the same: it is never handed
// out again then, and DoubleAck, called again, returns nil.
func (i *Item) DoubleAck(ctx context.Context) error {
	reply := i.replyTo()
	defer i.settle()
	s := i.pending.q.s
	ctx, cancel, err := s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = s.conn.Conn().RequestWithContext(ctx, reply, ack)
	switch {
	case err == nil:
		// The server acknowledges what it could not write, too.
		if _, err = i.pending.q.get(ctx, i.sequence); errors.Is(err, ErrNotFound) {
			return nil
		}
	case !errors.Is(err, nats.ErrNoResponders): // which says that the consumer has stopped, or the server was started anew
		return s.failed("remove an item", err)
	}
	return i.pending.q.erase(ctx, i.sequence)
}

// Ack removes the item, but does not wait until that is durable: after a crash it may be
// handed out again, and after the consumer has stopped it is, to the next one. That is
// half the work for the server, and enough where something else is known to be durable
// that tells that the item is done.
func (i *Item) Ack() error {
	// It counts as out no longer only when the server was told.
	defer i.settle()
	return i.tell(i.replyTo(), ack)
}

// InProgress keeps the item for another QueueConfig.AckWait. It costs no write.
func (i *Item) InProgress() error {
	return i.tell(i.replyTo(), inProgress)
}

// Nak gives the item back: it is handed out again at once, to whoever consumes.
func (i *Item) Nak() error {
	// Where the server hears of it is taken in the moment from which on the item is
	// not out. If it were taken before, another consumer could be handed the item in
	// between, for one who has it no more, and nobody would give it back there.
	return i.tell(i.settle(), nak)
}

// tell tells the server something about the item. It hears nothing if the consumer has
// stopped, and then it need not.
func (i *Item) tell(reply string, what []byte) error {
	return i.pending.q.s.failed("tell about an item", i.pending.q.s.conn.Conn().Publish(reply, what))
}

func (i *Item) replyTo() string {
	i.pending.mu.Lock()
	defer i.pending.mu.Unlock()
	return i.reply
}

// settle notes that the item is not out any more, unless it was handed out again
// meanwhile. It returns where the server hears of the item.
func (i *Item) settle() (reply string) {
	i.pending.mu.Lock()
	reply = i.reply
	if i.pending.out[i.sequence] == i {
		delete(i.pending.out, i.sequence)
	}
	last := len(i.pending.out) == 0 && i.pending.consumer == nil
	i.pending.mu.Unlock()
	if last {
		i.pending.forget()
	}
	return reply
}
