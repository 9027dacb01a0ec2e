package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

// Small is a request that is held whole. All of it belongs to the caller and is not
// kept.
type Small struct {
	Method string
	Target []byte // path and query, as received
	Header []byte // lines made by AppendField, without Host and Content-Length
	Body   []byte // nil where the request has none
}

// AppendField appends a header line. The error is ErrInvalid.
func AppendField(dst []byte, name, value []byte) ([]byte, error) {
	if err := checkField(string(name), string(value)); err != nil {
		return dst, err
	}
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...), nil
}

// Relay does for small requests what Forward does for all, at a third of the cost: it
// sends one and reads the head of the answer into response. The body of the answer is
// what Relay returns; until the caller has closed it, response must not be used again.
func (c *Client) Relay(ctx context.Context, request Small, response *fasthttp.Response) (io.ReadCloser, error) {
	if err := checkLine(request.Method, string(request.Target)); err != nil {
		return nil, err
	}
	p, err := c.pass(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.relays.get(ctx)
	if err != nil {
		return nil, p.failed(ctx, err)
	}
	interrupt := context.AfterFunc(ctx, func() { conn.Close() })
	body := &relayed{response: response, conn: conn, pool: c.relays, interrupt: interrupt, release: p.release}
	response.StreamBody = true
	response.SkipBody = request.Method == fasthttp.MethodHead
	response.Header.SetNoDefaultContentType(true)
	err = c.write(conn, request)
	if err == nil {
		err = response.ReadLimitBody(conn.in, 0)
	}
	if err != nil {
		interrupt()
		conn.Close()
		return nil, p.failed(ctx, err)
	}
	p.answered(response.StatusCode())
	return body, nil
}

func (c *Client) write(conn *relayConn, request Small) error {
	out := conn.out
	out.WriteString(request.Method)
	out.WriteByte(' ')
	out.WriteString(c.basePath())
	out.Write(request.Target)
	out.WriteString(" HTTP/1.1\r\nHost: ")
	out.WriteString(c.base.Host)
	out.WriteString("\r\n")
	out.Write(request.Header)
	if request.Body != nil {
		fmt.Fprintf(out, "Content-Length: %d\r\n", len(request.Body))
	}
	out.WriteString("\r\n")
	out.Write(request.Body)
	return out.Flush() // which has the first error of all
}

// relayed is the body of an answer to a small request.
type relayed struct {
	response  *fasthttp.Response
	conn      *relayConn
	pool      *relayPool
	interrupt func() bool // stops it; false if it came
	release   func()

	once  sync.Once
	ended bool // the body was read to its end
}

// Read reads the body. An answer without one has ended at once.
func (b *relayed) Read(p []byte) (int, error) {
	stream := b.response.BodyStream()
	if stream == nil {
		b.ended = true
		return 0, io.EOF
	}
	n, err := stream.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended = true
	}
	return n, err
}

// Close gives the connection back if the answer has ended and was not the last one.
func (b *relayed) Close() error {
	b.once.Do(func() {
		defer b.release()
		lasting := !b.response.ConnectionClose() && b.response.StatusCode() != fasthttp.StatusSwitchingProtocols
		if b.response.BodyStream() == nil {
			b.ended = true
		} else if b.response.Header.ContentLength() == identity {
			lasting = false
		}
		if b.interrupt() && b.ended && lasting {
			b.pool.put(b.conn)
		} else {
			b.conn.Close()
		}
	})
	return nil
}

// identity is what fasthttp says of a body that ends with the connection.
const identity = -2
