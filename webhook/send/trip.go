package send

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync/atomic"
)

// interimStatuses announce another answer.
var interimStatuses = []int{100, 102, 103}

// mostInterim is how many such there may be before the answer.
const mostInterim = 100

var errNotInterim = errors.New("a status below 200 that announces no other, or too many of those that do")

// trip is a request on its way over one connection.
type trip struct {
	wasIdle bool
	conn    *conn // nil: there is none yet
	before  int64 // what had been sent on it

	interim int
	status  atomic.Int32 // below 200, that ended it; 0: none
}

func (t *trip) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.wasIdle = info.Reused
			if t.conn = below(info.Conn); t.conn != nil {
				t.before = t.conn.begin(!speaksHTTP2(info.Conn), info.Reused)
			}
		},
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if t.interim++; slices.Contains(interimStatuses, code) && t.interim <= mostInterim {
				return nil
			}
			t.status.Store(int32(code))
			return errNotInterim
		},
	})
}

func speaksHTTP2(c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// sent reports whether something of the request may have left. It is too careful where
// others use the connection at the same time, which HTTP/2 allows.
func (t *trip) sent() bool {
	// On one that was spent nothing is, but for what says that TLS ends.
	return t.conn == nil || !t.conn.spent.Load() && t.conn.sent.Load() > t.before
}
