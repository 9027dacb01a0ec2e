package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// recorder sees what is read on a connection, below the HTTP engine. That takes a bare
// LF for the end of a line in the trailer of a chunked body, and a proxy in front of us
// may not: where the request ends would be seen in two places.
type recorder struct {
	last   []byte // what was read last; the engine's memory, which stays until the next read
	chunks *chunks
}

// read reads from conn, unless the request is refused for what was read of it before: then
// nothing more of it needs to come.
func (r *recorder) read(conn net.Conn, p []byte) (int, error) {
	if r.chunks != nil && r.chunks.bareLF {
		return 0, errBareLF
	}
	n, err := conn.Read(p)
	r.note(p[:n])
	return n, err
}

func (r *recorder) note(p []byte) {
	r.last = p
	if r.chunks != nil {
		r.chunks.write(p)
	}
}

// follow begins to look at the body of a request with that head, or ends it if the
// request is not chunked.
func (r *recorder) follow(head []byte, chunked bool) {
	r.chunks = nil
	if !chunked {
		return
	}
	r.chunks = &chunks{lost: bytes.Count(r.last, head) != 1}
	if _, begun, found := bytes.Cut(r.last, head); found {
		r.chunks.write(begun)
	}
}

// recordedTLS is a TLS connection over a clientConn, which records its plain text.
type recordedTLS struct {
	*tls.Conn
	client *clientConn
}

func (c recordedTLS) Read(p []byte) (int, error) { return c.client.seen.read(c.Conn, p) }

// Close says nothing before a reset: a proper end of TLS would make a part look whole.
func (c recordedTLS) Close() error {
	if c.client.reset.Load() {
		return c.client.Close()
	}
	return c.Conn.Close()
}

// recordedListener records what TLS connections say.
type recordedListener struct{ net.Listener }

func (l recordedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	secure := conn.(*tls.Conn)
	client := secure.NetConn().(*clientConn)
	client.secure = true
	return recordedTLS{secure, client}, nil
}

// chunks goes through a chunked body as it comes. The engine has checked, or will check,
// everything but the trailer.
type chunks struct {
	lost   bool   // the beginning was not seen
	line   []byte // that has begun
	data   int    // bytes of a chunk still to come, with the end of its line
	last   bool   // the chunk of size 0 was there: a trailer follows
	ended  bool
	bareLF bool // a line of the trailer ends without a carriage return
}

func (c *chunks) write(p []byte) {
	for len(p) > 0 && !c.ended && !c.lost {
		if c.data > 0 {
			n := min(c.data, len(p))
			c.data -= n
			p = p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			c.line = append(c.line, p...)
			c.lost = len(c.line) > maxHeader
			return
		}
		c.readLine(append(c.line, p[:end]...))
		c.line = c.line[:0]
		p = p[end+1:]
	}
}

// readLine reads a line without the LF at its end.
func (c *chunks) readLine(line []byte) {
	line, hasCR := bytes.CutSuffix(line, []byte("\r"))
	switch {
	case !c.last:
		size, ok := chunkSize(line)
		c.lost = !ok
		c.last = size == 0
		if size > 0 {
			c.data = size + len("\r\n")
		}
	case len(line) == 0 && hasCR:
		c.ended = true
	default:
		c.bareLF = c.bareLF || !hasCR
	}
}

// chunkSize reads the hexadecimal digits at the beginning of a line.
func chunkSize(line []byte) (size int, ok bool) {
	digits := line[:len(line)-len(bytes.TrimLeft(line, "0123456789abcdefABCDEF"))]
	n, err := strconv.ParseUint(string(digits), 16, 40)
	return int(n), err == nil
}

// bodyStream is the body of a request, or nil if it has none.
func bodyStream(c *fiber.Ctx) io.Reader {
	stream := c.Request().BodyStream()
	chunks := connOf(c).seen.chunks
	if stream == nil || chunks == nil {
		return stream
	}
	return &chunkedBody{stream, chunks, &c.Request().Header}
}

// chunkedBody is a chunked body that ends in an error if its trailer is ambiguous. It may be
// read after the handler has returned, while the answer is sent.
type chunkedBody struct {
	io.Reader
	chunks *chunks
	header *fasthttp.RequestHeader
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && b.chunks.bareLF || err == io.EOF && b.chunks.lost && len(b.header.PeekTrailerKeys()) > 0 {
		err = errBareLF
	}
	return n, err
}

var errBareLF = ambiguous("a line of the trailer ends without a carriage return")
