package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"pollbridge/session"

	"github.com/valyala/fasthttp"
)

// Reason tells failures apart, in logs and in metrics.
type Reason string

// The reasons why the upstream gave no answer.
const (
	Timeout    Reason = "timeout"      // it was silent for too long
	Connection Reason = "connection"   // the connection was refused, reset or broke off
	Unreadable Reason = "unreadable"   // what it answered is no answer
	Transient  Reason = "transient"    // it answered a transient error code
	Server     Reason = "server_error" // it answered a 5xx
	SlowDown   Reason = "slow_down"    // it answered 429
	Open       Reason = "circuit_open" // it was not asked: the circuit breaker is open
	Overload   Reason = "overload"     // it was not asked: too many requests are in flight
)

// Failure is the error of every call that got no answer. Its text holds neither
// the path nor the credential of the request.
type Failure struct {
	Reason Reason
	// RetryAfter is when asking again makes sense; at least a second.
	RetryAfter time.Duration
	Answer     *session.Content
	sent       bool
	callers    bool // probably the request's own fault
	err        error
}

func (f *Failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("upstream: %s", f.Reason)
	}
	return fmt.Sprintf("upstream: %s: %v", f.Reason, f.err)
}

// NotSent reports whether the upstream has certainly not seen the request.
func (f *Failure) NotSent() bool { return !f.sent }

// Unwrap returns the cause, if there is one.
func (f *Failure) Unwrap() error { return f.err }

func failed(reason Reason, err error) *Failure {
	return &Failure{Reason: reason, RetryAfter: time.Second, sent: true, err: err}
}

func notSent(reason Reason, retryAfter time.Duration, err error) *Failure {
	return &Failure{Reason: reason, RetryAfter: max(time.Second, retryAfter), err: err}
}

// brokenExchange names what went wrong between here and the upstream.
func brokenExchange(err error) *Failure {
	var timeout interface{ Timeout() bool } // fasthttp's own is no net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return failed(Timeout, err)
	}
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		return failed(Unreadable, err)
	}
	return failed(Connection, sayable(err))
}

// sayable keeps the errors whose text is about the network. Others quote what the
// upstream sent, which belongs into no log.
func sayable(err error) error {
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, errStale, fasthttp.ErrConnectionClosed, net.ErrClosed} {
		if errors.Is(err, known) {
			return known
		}
	}
	var network *net.OpError
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var number syscall.Errno
	if errors.As(err, &network) || errors.As(err, &lookup) || errors.As(err, &certificate) || errors.As(err, &alert) || errors.As(err, &number) {
		return err
	}
	return errors.New("the answer could not be read")
}

// badAnswer names what is wrong with an answer that arrived.
func badAnswer(status int, err error) *Failure {
	switch {
	case errors.Is(err, session.ErrTransient):
		return failed(Transient, err)
	case errors.Is(err, session.ErrServerError):
		return failed(Server, err)
	case errors.Is(err, session.ErrSlowDown):
		failure := failed(SlowDown, err)
		failure.callers = true // it answers; it only wants fewer requests
		return failure
	}
	failure := failed(Unreadable, err)
	failure.callers = 400 <= status && status < 500 && status != http.StatusRequestTimeout
	return failure
}

// BrokenAnswer is the failure of an answer whose body broke off.
func BrokenAnswer(err error) *Failure { return brokenExchange(err) }
