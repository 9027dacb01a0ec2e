package simulator

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// abort ends the call without finishing the answer: net/http then closes the
// connection.
func abort() { panic(http.ErrAbortHandler) }

func sendError500(s *Simulator, w http.ResponseWriter, r *http.Request, _ struck) {
	send(w, errorAnswer(codeTrouble, localeOf(r), 500))
}

func sendError502(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck) {
	send(w, htmlAnswer(502, "502 Bad Gateway"))
}

func sendTransient(s *Simulator, w http.ResponseWriter, r *http.Request, _ struck) {
	code := codeTechnical
	if s.coin() {
		code = codeUnreachable
	}
	send(w, errorAnswer(code, localeOf(r), 200))
}

func sendGarbage(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck) {
	noise := make([]byte, 200)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	noise[0] = 0xff // starts neither JSON nor UTF-8
	send(w, answer{status: 200, contentType: jsonType, body: text(noise)})
}

func sendHTML(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck) {
	send(w, htmlAnswer(200, "The service is being maintained"))
}

func sendRedirect(_ *Simulator, w http.ResponseWriter, r *http.Request, _ struck) {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	w.Header().Set("Location", scheme+r.Host+controlPrefix+"redirected")
	send(w, htmlAnswer(302, "302 Found"))
}

func sendEmpty(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck) {
	send(w, answer{status: 200, contentType: jsonType, body: text(nil)})
}

func hang(s *Simulator, _ http.ResponseWriter, r *http.Request, hit struck) {
	var over <-chan time.Time
	if hit.ends > 0 {
		timer := time.NewTimer(hit.ends)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
		return // nobody is left to be dropped
	case <-over:
		s.Settle() // tells of the end of the fault
	case <-hit.lifted:
	case <-s.closing:
	}
	abort()
}

func drop(*Simulator, http.ResponseWriter, *http.Request, struck) { abort() }

func reset(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ struck) {
	conn, _, err := http.NewResponseController(w).Hijack()
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

func htmlAnswer(status int, title string) answer {
	page := "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>\n"
	return answer{status: status, contentType: "text/html; charset=utf-8", body: text(page)}
}
