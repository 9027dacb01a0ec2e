package period

import (
	"context"
	"time"
)

// Before calls f, in a goroutine of its own, when so much is left until the deadline of ctx: never where that has none, nor
// after stop.
func Before(ctx context.Context, left time.Duration, f func()) (stop func() bool) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return func() bool { return false }
	}
	return time.AfterFunc(time.Until(deadline)-left, f).Stop
}
