package door

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"pollbridge/fleet"
	"pollbridge/session"
)

// Holder is what polls the upstream, and does not where that has said so.
type Holder interface {
	Hold(v *session.Variant, status int, wait time.Duration)
}

const (
	heldKind    = "held"
	mostHeld    = 256              // that wait to be announced; of more, some others are asked for in vain
	holdLongest = time.Minute      // for no longer are polls held back
	holdTime    = 10 * time.Second // that announcing may take
)

// held is that the upstream wants no more polls for a while. What was asked follows it.
type held struct {
	Status int `json:"status"`
}

// heldBack is what others have to know of.
type heldBack struct {
	v      *session.Variant
	status int
	until  time.Time
}

// Held has all replicas know that the upstream wants no more polls for a while, those too that come
// meanwhile, see upstream.Options. It does not wait for that.
func (d *Door) Held(v *session.Variant, status int, wait time.Duration) {
	select {
	case d.heldBack <- heldBack{v, status, time.Now().Add(min(wait, holdLongest))}:
	default:
	}
}

// announceHeld announces it until the door closes.
func (d *Door) announceHeld() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case h := <-d.heldBack:
			if left := time.Until(h.until); left > 0 {
				d.announceOne(h, left)
			}
		}
	}
}

func (d *Door) announceOne(h heldBack, left time.Duration) {
	ctx, cancel := context.WithTimeout(d.ctx, holdTime)
	defer cancel()
	message := h.v.AppendDurable(appendJSON(nil, held{h.status}))
	if err := d.o.Fleet.Announce(ctx, heldKind, heldKey(d.o.ID(h.v), h.status), message, left); err != nil {
		d.o.Log.Debug("not all replicas know that the upstream wants no polls for a while", "error", err)
	}
}

func heldKey(sessionID string, status int) string { return sessionID + "." + strconv.Itoa(status) }

// hold is told so by a replica.
func (d *Door) hold(a fleet.Announcement) {
	var h held
	rest, err := readJSON(a.Message, &h)
	if err != nil || a.Left == 0 {
		return
	}
	if v, err := d.o.Table.ReadDurable(rest); err == nil {
		d.o.Holder.Hold(v, h.Status, a.Left)
	}
}

// withdrawHeld erases what was announced about a session.
func (d *Door) withdrawHeld(ctx context.Context, sessionID string) error {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		if err := d.o.Fleet.Withdraw(ctx, heldKind, heldKey(sessionID, status)); err != nil {
			return err
		}
	}
	return nil
}
