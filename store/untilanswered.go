package store

import (
	"context"
	"sync"
	"time"
)

// firstAgain is after which time a server is asked again that has not answered; then it is twice as long each time.
const firstAgain = time.Second

// untilAnswered asks, and asks again while there is no answer, and returns the first answer or error. ctx
// bounds it. ask is called again, by another goroutine, while it waits, and has to return soon after its ctx
// ends. What it has asked earlier a server may still do after untilAnswered has returned: it must not matter how
// often that is, nor how late. The embedded server is asked once: it loses nothing, and where it is slow, more of
// the same makes it slower.
//
// Some questions nobody answers, however long that is waited for: what comes to a leader that does not know
// yet that it is, or before there is one (findings/asked-before-there-is-a-leader.sh), and what is on its way
// to a server that stops. An answer to an earlier question is as good as one to the last: servers may be slow.
func untilAnswered[T any](ctx context.Context, s *Store, ask func(context.Context) (T, error)) (T, error) {
	if !s.shared {
		return ask(ctx)
	}
	type answer struct {
		value T
		err   error
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, 1) // has the first
	for pause := firstAgain; ; pause *= 2 {
		asking.Go(func() {
			value, err := ask(ctx)
			select {
			case answers <- answer{value, err}:
			default:
			}
		})
		again := time.NewTimer(pause)
		select {
		case first := <-answers:
			again.Stop()
			return first.value, first.err
		case <-again.C:
		}
	}
}

// untilDone is untilAnswered where the answer says no more than whether it was done.
func untilDone(ctx context.Context, s *Store, do func(context.Context) error) error {
	_, err := untilAnswered(ctx, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}
