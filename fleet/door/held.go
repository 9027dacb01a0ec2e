package door

import (
	"context"
	"time"

	"pollbridge/session"
)

// Holder is what polls the upstream, and does not where that has said so.
type Holder interface {
	Hold(v *session.Variant, status int, wait time.Duration)
}

const (
	heldKind = "held"
	mostHeld = 256 // that wait to be told; of more, some others are asked for in vain
)

// held is that the upstream wants no more polls for a while. What was asked follows it.
type held struct {
	Status int           `json:"status"`
	Wait   time.Duration `json:"wait"`
}

// Held has all other replicas know that the upstream wants no more polls for a while, see
// upstream.Options. It does not wait for that.
func (d *Door) Held(v *session.Variant, status int, wait time.Duration) {
	select {
	case d.heldBack <- v.AppendDurable(appendJSON(nil, held{status, wait})):
	default:
	}
}

// tellHeld tells others until the door closes.
func (d *Door) tellHeld() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case message := <-d.heldBack:
			if err := d.o.Fleet.TellEverybody(d.ctx, heldKind, message); err != nil {
				d.o.Log.Debug("not all replicas know that the upstream wants no polls for a while", "error", err)
			}
		}
	}
}

// hold is told so by another replica.
func (d *Door) hold(_ context.Context, message []byte) {
	var h held
	rest, err := readJSON(message, &h)
	if err != nil {
		return
	}
	if v, err := d.o.Table.ReadDurable(rest); err == nil {
		d.o.Holder.Hold(v, h.Status, h.Wait)
	}
}
