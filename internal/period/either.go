package period

import "context"

// Either returns a context that ends with one of two; it has the values and the deadline of the first. The caller
// calls the function when it is done.
func Either(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}
