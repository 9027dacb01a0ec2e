package simulator

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"time"
)

func sendHalf(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck, a answer) {
	a.writeHead(w)
	a.body.writeTo(&first{w, a.body.size() / 2})
	http.NewResponseController(w).Flush()
	abort()
}

func sendTruncated(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck, a answer) {
	a.writeHeadChunked(w)
	a.body.writeTo(&first{w, a.body.size() / 2})
	http.NewResponseController(w).Flush()
	abort()
}

// sendWrongLength writes the answer by hand, because net/http keeps to the length
// that it declared.
func sendWrongLength(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck, a answer) {
	conn, out, err := http.NewResponseController(w).Hijack()
	if err != nil {
		abort()
	}
	defer conn.Close()
	fmt.Fprintf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		a.status, http.StatusText(a.status), time.Now().UTC().Format(http.TimeFormat), a.contentType, a.body.size()/2)
	a.body.writeTo(out)
	out.Flush()
}

func sendGzip(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck, a answer) {
	w.Header().Set("Content-Encoding", "gzip")
	a.writeHeadChunked(w)
	packed := gzip.NewWriter(w)
	if a.body.writeTo(packed) == nil {
		packed.Close()
	}
}

const slowPieces = 20

func sendSlowly(s *Simulator, w http.ResponseWriter, r *http.Request, hit struck, a answer) {
	a.writeHead(w)
	a.body.writeTo(&drip{
		w:     w,
		piece: int(max(1, (a.body.size()+slowPieces-1)/slowPieces)),
		pause: func() bool {
			select {
			case <-hit.lifted:
				return true // no fault any more: the rest comes at once
			default:
			}
			return s.wait(r, hit.fault.Pace)
		},
	})
}

func sendAndClose(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck, a answer) {
	send(w, a)
	http.NewResponseController(w).Flush()
	abort() // after the last byte, so that the client has it all and no warning
}

// first passes on n bytes and then fails.
type first struct {
	w    io.Writer
	left int64
}

func (f *first) Write(p []byte) (int, error) {
	n := min(int64(len(p)), f.left)
	f.left -= n
	if _, err := f.w.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < int64(len(p)) {
		return int(n), io.ErrShortWrite
	}
	return len(p), nil
}

// drip flushes every piece and pauses after it; it fails when pause says so.
type drip struct {
	w     http.ResponseWriter
	piece int
	room  int // bytes until the piece is full
	pause func() bool
}

func (d *drip) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if d.room == 0 {
			d.room = d.piece
		}
		n := min(len(p)-written, d.room)
		if _, err := d.w.Write(p[written : written+n]); err != nil {
			return written, err
		}
		written, d.room = written+n, d.room-n
		if d.room > 0 {
			continue
		}
		http.NewResponseController(d.w).Flush()
		if !d.pause() {
			return written, io.ErrShortWrite
		}
	}
	return written, nil
}
