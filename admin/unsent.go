package admin

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

const (
	// mostFinals bounds the final answers that are held, in bytes, and readingFinals how
	// many more there can be that were read from the store and wait for room.
	mostFinals    = 64 << 20
	readingFinals = 2
	// mostAnswers bounds all other answers that are held, without event streams, which
	// hold little each. What is smaller than smallAnswer costs no more than its
	// connection and is not refused.
	mostAnswers = 64 << 20
	smallAnswer = 16 << 10
)

// unsent bounds and counts the bytes of answers that are held in memory until clients
// have read them. Final answers have a bound of their own: they are large, and nobody
// who reads them slowly may be in the way of other calls.
type unsent struct {
	bytes           atomic.Int64
	finals, answers *semaphore.Weighted // in bytes
	reading         *semaphore.Weighted
}

func newUnsent(registry prometheus.Registerer) *unsent {
	u := &unsent{
		finals: semaphore.NewWeighted(mostFinals), answers: semaphore.NewWeighted(mostAnswers),
		reading: semaphore.NewWeighted(readingFinals),
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pollbridge_admin_response_bytes_held",
		Help: "Bytes of management API answers that are held in memory until clients have read them.",
	}, func() float64 { return float64(u.bytes.Load()) }))
	return u
}

// add counts some bytes until sent is called, which may be called again.
func (u *unsent) add(size int) (sent func()) {
	u.bytes.Add(int64(size))
	return sync.OnceFunc(func() { u.bytes.Add(-int64(size)) })
}

// final returns what read reads, as soon as there is room for it. The caller calls sent
// when it is sent.
func (u *unsent) final(ctx context.Context, read func() (body []byte, err error)) (sent func(), err error) {
	if err := u.reading.Acquire(ctx, 1); err != nil {
		return nil, noRoomIn(err)
	}
	defer u.reading.Release(1)
	body, err := read()
	if err != nil {
		return nil, err
	}
	room := min(int64(len(body)), mostFinals)
	counted := u.add(len(body))
	if err := u.finals.Acquire(ctx, room); err != nil {
		counted()
		return nil, noRoomIn(err)
	}
	return sync.OnceFunc(func() { counted(); u.finals.Release(room) }), nil
}

// errNoRoom is for those who come when too much is held for others.
var errNoRoom = errors.New("admin: too much is held for clients that are slow to read")

// noRoomIn is the error of who has waited for room in vain, or could not wait.
func noRoomIn(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoRoom
	}
	return err
}

const noRoom = "too much is held in memory for clients that are slow to read: try again later"

// unsentBody is an answer that counts until the engine closes it: it was sent, or the
// connection broke.
type unsentBody struct {
	*bytes.Reader
	sent func()
}

func (b *unsentBody) Close() error {
	b.sent()
	return nil
}

func setUnsent(c *fiber.Ctx, body []byte, sent func()) {
	c.Response().SetBodyStream(&unsentBody{bytes.NewReader(body), sent}, len(body))
}

// count counts the answers that handlers have written whole. Where there is no room, what
// was only looked up is refused.
func (u *unsent) count(c *fiber.Ctx) error {
	if err := c.Next(); err != nil {
		return err
	}
	answer := c.Response()
	if answer.IsBodyStream() || len(answer.Body()) == 0 {
		return nil
	}
	text := answer.Body()
	answer.SwapBody(nil) // so that text is not the engine's to use again
	room := min(int64(len(text)), mostAnswers)
	if len(text) < smallAnswer || c.Method() != http.MethodGet {
		room = 0
	} else if !u.answers.TryAcquire(room) {
		c.Set(fiber.HeaderRetryAfter, "1")
		return newProblem(http.StatusServiceUnavailable, noRoom)
	}
	counted := u.add(len(text))
	setUnsent(c, text, sync.OnceFunc(func() { counted(); u.answers.Release(room) }))
	return nil
}
