package store

import (
	"context"
	"sync"
)

// Item is a piece of work that was handed out. Exactly one of DoubleAck, Ack and Nak must
// be called, once; after an error of DoubleAck, any of them may be.
//
// Whoever has an item may lose it without knowing: it is handed out again when the server has
// not heard of it for QueueConfig.AckWait, and what the first one says of it counts all the
// same. So two may be at work on one, and the first to acknowledge it ends it for both. What is
// to be done once is to be decided elsewhere, such as by a compare-and-set on a record, and an
// item is acknowledged after that.
type Item struct {
	Subject, Name string
	Value         []byte

	consumer *Consumer
	sequence uint64
	reply    string // where the server hears of the item
	settled  sync.Once
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
	defer i.settle()
	// An acknowledgement is answered also when it could not be written, and not at all where
	// the server's consumer was made anew. So the item is removed as what it is, a message.
	if err := i.consumer.q.erase(ctx, i.sequence); err != nil {
		return err
	}
	i.tell(ack) // else it counts as out for a while
	return nil
}

// Ack removes the item, but does not wait until that is durable: it may be handed out again
// after a crash, or where the server's consumer was made anew. That is half the work for the
// server, and enough where something else is known to be durable that tells that the item is
// done.
func (i *Item) Ack() error {
	// It counts as out no longer only when the server was told.
	defer i.settle()
	return i.tell(ack)
}

// InProgress keeps the item for another QueueConfig.AckWait. It costs no write.
func (i *Item) InProgress() error { return i.tell(inProgress) }

// Nak gives the item back: it is handed out again at once, to whoever consumes.
func (i *Item) Nak() error {
	defer i.settle()
	return i.tell(nak)
}

// tell tells the server something about the item, which does not answer.
func (i *Item) tell(what []byte) error {
	s := i.consumer.q.s
	return s.failed("tell about an item", s.conn.Conn().Publish(i.reply, what))
}

func (i *Item) settle() { i.settled.Do(i.consumer.settle) }
