package delivery

import (
	"log/slog"
	"net/http"
	"time"

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
