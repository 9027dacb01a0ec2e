package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
)

const (
	// mostFiles is how many bytes of documents may be on their way at a time, all
	// subscriptions together.
	mostFiles = 256 << 20
	// mostLoads is how many documents are loaded at a time. How large they are is not
	// known before.
	mostLoads = 2
	// fileTimeout is how long an attempt waits for that. Then it makes room for others
	// to the same receiver.
	fileTimeout = 30 * time.Second
)

// AnswerFunc returns the final answer of a session that was made at a time, with its file.
// Where there is none, or not any more, that is nil or the error is store.ErrNotFound; after
// any other error it is asked again later, and what includes the file waits for that.
type AnswerFunc func(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error)

// files gives the documents that are sent, few at a time.
type files struct {
	answer  AnswerFunc // nil: no event includes a file
	living  context.Context
	sending context.Context
	loads   *semaphore.Weighted // bounds how many documents of unknown size are loaded at a time
	bytes   *semaphore.Weighted // bounds the memory of documents on their way
	room    int64               // of bytes
}

// payload returns what is sent to a subscription, and a function to call when it was.
// It waits for room. The error is errNotNow if there is none for long, or the service
// closes; the final answer may also be one that cannot be read now.
func (f *files) payload(sub *Subscription, e *event.Event) (payload []byte, finish func(), err error) {
	if !sub.IncludeFile || !e.Final || f.answer == nil {
		return e.Payload, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(f.living, fileTimeout)
	defer cancel()
	if f.loads.Acquire(ctx, 1) != nil {
		return nil, nil, errNotNow
	}
	// What was loaded waits for its room before the next one is: it is not thrown away.
	defer f.loads.Release(1)
	o, err := f.finalAnswer(e)
	if err != nil {
		return nil, nil, err
	}
	if o == nil {
		return e.Payload, func() {}, nil // file_omitted says so
	}
	room := min(f.room, int64(3*len(o.Body)))
	if f.bytes.Acquire(ctx, room) != nil {
		return nil, nil, errNotNow
	}
	return event.WithFile(e.Payload, o), func() { f.bytes.Release(room) }, nil
}

// finalAnswer returns the answer that an event tells of, nil where there is none with its
// content, or none that can ever be read. After an error there may be one.
func (f *files) finalAnswer(e *event.Event) (*session.Observation, error) {
	ctx, cancel := context.WithTimeout(f.sending, storeTimeout)
	defer cancel()
	o, err := f.answer(ctx, e.Key, e.At)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged):
		return nil, nil
	case f.sending.Err() != nil:
		return nil, errNotNow
	case err != nil:
		return nil, fmt.Errorf("reading the final answer: %w", err)
	case o == nil || o.Content == nil:
		return nil, nil
	}
	return o, nil
}
