package simulator

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// faulted is a call that a fault hits.
type faulted struct {
	s      *Simulator
	w      http.ResponseWriter
	r      *http.Request
	call   call
	fault  Fault
	lifted <-chan struct{} // closed when the fault is lifted
}

// effects are what the modes do to a call; the error modes are by their status.
var effects = map[Mode]func(faulted){
	Transient:        faulted.transient,
	Hang:             faulted.hang,
	Reset:            faulted.reset,
	Drop:             faulted.drop,
	Garbage:          faulted.garbage,
	HTML:             faulted.html,
	HalfBody:         faulted.halfBody,
	WrongLength:      faulted.wrongLength,
	TruncatedChunked: faulted.truncatedChunked,
	Gzip:             faulted.gzip,
	HTTP10:           faulted.http10,
	Redirect:         faulted.redirect,
	Empty:            faulted.empty,
	Slow:             faulted.slow,
	IdleClose:        faulted.idleClose,
}

// spoil does to the call what the fault's mode says.
func (f faulted) spoil() {
	if effect, named := effects[f.fault.Mode]; named {
		effect(f)
		return
	}
	f.failed()
}

// In place of the answer

// instead sends a, and nothing has happened upstream.
func (f faulted) instead(a answer) {
	f.readBody()
	a.send(f.w)
}

// readBody is for what is sent in place of the answer: with the request's body unread,
// net/http would not notice that the client leaves, and closing would send RST where FIN
// is meant.
func (f faulted) readBody() { io.Copy(io.Discard, f.r.Body) }

func (f faulted) failed() {
	status := f.fault.Mode.errorStatus()
	a := page(status, fmt.Sprint(status, " ", http.StatusText(status)))
	if f.fault.Mode == Error500 {
		a = jsonAnswer(status, body{Status: "error", Message: message(codeTrouble, f.call.english), ErrorCode: codeTrouble})
	}
	if after := f.fault.RetryAfter; after > 0 {
		f.w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	if f.fault.Mode == Error413 {
		a.send(f.w) // while the upload still runs
		return
	}
	f.instead(a)
}

func (f faulted) transient() {
	code := codeTechnical + rand.IntN(2)
	f.instead(jsonAnswer(http.StatusOK, body{Status: "error", Message: message(code, f.call.english), ErrorCode: code}))
}

func (f faulted) garbage() {
	f.instead(answer{http.StatusOK, jsonType, bytes.Repeat([]byte("\xff{\x00\x80"), 50)})
}

func (f faulted) html()  { f.instead(page(http.StatusOK, "The service is being maintained")) }
func (f faulted) empty() { f.instead(answer{http.StatusOK, jsonType, nil}) }

func (f faulted) redirect() {
	scheme := "http://"
	if f.r.TLS != nil {
		scheme = "https://"
	}
	f.w.Header().Set("Location", scheme+f.r.Host+controlPrefix+"redirected")
	f.instead(page(http.StatusFound, "302 Found"))
}

func (f faulted) hang() {
	f.readBody()
	select {
	case <-f.r.Context().Done():
		return // nobody is left to be dropped
	case <-f.lifted:
	case <-f.s.closed.Done():
	}
	abort()
}

func (f faulted) drop() {
	f.readBody()
	abort()
}

func (f faulted) reset() {
	f.readBody()
	conn, _, err := http.NewResponseController(f.w).Hijack()
	if err != nil {
		abort() // HTTP/2 or no connection at all: the nearest thing
	}
	defer conn.Close()
	raw := conn
	if secured, ok := conn.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		tcp.SetLinger(0) // close then sends RST in place of FIN
		tcp.Close()
	}
}

// The answer, badly sent

// answer carries the call out.
func (f faulted) answer() answer { return f.s.answer(f.r, f.call) }

func (f faulted) halfBody() {
	a := f.answer()
	f.w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	f.half(a)
}

func (f faulted) truncatedChunked() { f.half(f.answer()) }

func (f faulted) half(a answer) {
	a.sendHead(f.w)
	f.w.Write(a.body[:len(a.body)/2])
	f.flush()
	abort()
}

func (f faulted) wrongLength() {
	a := f.answer()
	f.w.Header().Set("Content-Length", strconv.Itoa(len(a.body)/2))
	f.byHand(a, "HTTP/1.1")
}

func (f faulted) http10() { f.byHand(f.answer(), "HTTP/1.0") }

// byHand writes what net/http would not: it keeps to the length that it declared, and to
// the version of the request.
func (f faulted) byHand(a answer, version string) {
	conn, out, err := http.NewResponseController(f.w).Hijack()
	if err != nil {
		abort()
	}
	defer conn.Close()
	a.setHead(f.w.Header())
	fmt.Fprintf(out, "%s %d %s\r\nDate: %s\r\n", version, a.status, http.StatusText(a.status), time.Now().UTC().Format(http.TimeFormat))
	f.w.Header().Write(out)
	out.WriteString("\r\n")
	out.Write(a.body)
	out.Flush()
}

func (f faulted) gzip() {
	a := f.answer()
	f.w.Header().Set("Content-Encoding", "gzip")
	a.sendHead(f.w)
	packed := gzip.NewWriter(f.w)
	packed.Write(a.body)
	packed.Close()
}

func (f faulted) slow() {
	const pieces = 20
	a := f.answer()
	f.w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	a.sendHead(f.w)
	for i := range pieces {
		if _, err := f.w.Write(a.body[len(a.body)*i/pieces : len(a.body)*(i+1)/pieces]); err != nil {
			return
		}
		f.flush()
		select {
		case <-f.lifted:
			continue // no fault any more: the rest comes at once
		default:
		}
		if !f.s.wait(f.r, cmp.Or(f.fault.Pace, defaultPace)) {
			return
		}
	}
}

func (f faulted) idleClose() {
	f.answer().send(f.w)
	f.flush()
	abort() // after the last byte, so that the client has it all and no warning
}

func (f faulted) flush() { http.NewResponseController(f.w).Flush() }
