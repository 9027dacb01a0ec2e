package admin

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// unsent counts the bytes of answers that are held in memory until clients have read
// them.
type unsent struct{ bytes atomic.Int64 }

func newUnsent(registry prometheus.Registerer) *unsent {
	u := &unsent{}
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

// count counts the answers that handlers have written whole.
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
	answer.SetBodyStream(&unsentBody{bytes.NewReader(text), u.add(len(text))}, len(text))
	return nil
}
