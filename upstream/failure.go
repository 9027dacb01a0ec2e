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

	"github.com/sony/gobreaker/v2"
	"github.com/valyala/fasthttp"
)

// Reason tells failures apart, in logs and in metrics.
type Reason string

// The reasons why the upstream gave no answer that could be used.
const (
	Timeout    Reason = "timeout"      // it was silent for too long
	Connection Reason = "connection"   // the connection could not be made, was reset or broke off
	Unreadable Reason = "unreadable"   // what it answered is no answer
	Transient  Reason = "transient"    // it answered a transient error code
	Server     Reason = "server_error" // it answered a 5xx
	SlowDown   Reason = "slow_down"    // it answered 429
	Redirect   Reason = "redirect"     // it answered a 3xx
	Open       Reason = "circuit_open" // it was not asked: the circuit breaker is open
	Overload   Reason = "overload"     // it was not asked: too many requests are in flight, or upstream.rate allows no more
	HeldBack   Reason = "held_back"    // it was not asked: it wants no polls for a while (Retry-After)
)

// Failure is the error of every call that got no answer that could be used. Its text
// holds neither the path nor the credential of the request.
type Failure struct {
	Reason Reason
	// RetryAfter is when a client should ask again, as the upstream said or as it is
	// known here; at least a second.
	RetryAfter time.Duration
	// Answer is what the upstream said, if that is for clients as it is, though it is no
	// observation: a 3xx or a 4xx. It holds nothing that is meant for one client only.
	Answer  *session.Content
	sent    bool
	verdict verdict
	err     error
}

// Error holds nothing of the request, nor of what was answered.
func (f *Failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("upstream: %s", f.Reason)
	}
	return fmt.Sprintf("upstream: %s: %v", f.Reason, f.err)
}

// NotSent reports whether the upstream was not asked, for a reason that is known here.
func (f *Failure) NotSent() bool { return !f.sent }

// Soon reports whether the request may well be sent in a moment: others are finding out
// whether the upstream is back.
func (f *Failure) Soon() bool { return errors.Is(f.err, gobreaker.ErrTooManyRequests) }

// Why is the reason in a word, for people.
func (f *Failure) Why() string { return string(f.Reason) }

// Wait is how long the upstream wants no poll, or is left alone; 0: it may be asked in a moment.
func (f *Failure) Wait() time.Duration {
	if f.RetryAfter <= time.Second {
		return 0
	}
	return f.RetryAfter
}

// Crowded reports whether the upstream was not asked since too many are, or wait to be.
func (f *Failure) Crowded() bool { return f.Reason == Overload }

// HeldBack is for how long the upstream wants no polls, if it was not asked for that.
func (f *Failure) HeldBack() time.Duration {
	if f.Reason != HeldBack {
		return 0
	}
	return f.RetryAfter
}

// Answered reports whether there is an Answer, which was given to the poll that was made:
// one for another origin may be answered otherwise.
func (f *Failure) Answered() bool { return f.Answer != nil }

// Unwrap returns the cause, if there is one.
func (f *Failure) Unwrap() error { return f.err }

func failed(reason Reason, verdict verdict, err error) *Failure {
	return &Failure{Reason: reason, RetryAfter: time.Second, sent: true, verdict: verdict, err: err}
}

func notSent(reason Reason, retryAfter time.Duration, err error) *Failure {
	return &Failure{Reason: reason, RetryAfter: max(time.Second, retryAfter), err: err}
}

// brokenExchange names what went wrong between here and the upstream.
func brokenExchange(err error) *Failure {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	verdict := failing
	if _, ok := errors.AsType[*connectError](err); ok {
		verdict = unreachable
	}
	var timeout interface{ Timeout() bool } // fasthttp's own is no net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return failed(Timeout, verdict, sayable(err))
	case errors.Is(err, fasthttp.ErrBodyTooLarge), errors.Is(err, errFraming), errors.Is(err, errUpgrade):
		return failed(Unreadable, verdict, sayable(err))
	}
	return failed(Connection, verdict, sayable(err))
}

// sayable keeps the errors whose text is about the network. Others quote what the
// upstream sent, which belongs into no log.
func sayable(err error) error {
	if connect, ok := errors.AsType[*connectError](err); ok {
		return connect
	}
	for _, known := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, errStale, errFraming, errSilent, errRepeated, errInterim, errUpgrade,
		fasthttp.ErrConnectionClosed, fasthttp.ErrBodyTooLarge, fasthttp.ErrTimeout,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	var network *net.OpError
	var alert tls.AlertError
	var number syscall.Errno
	if errors.As(err, &network) || errors.As(err, &alert) || errors.As(err, &number) {
		return err
	}
	return errors.New("the answer could not be read")
}

// noObservation names what is wrong with an answer that arrived.
func noObservation(status int, err error, content *session.Content, retryAfter time.Duration) *Failure {
	f := failed(Unreadable, failing, err)
	f.RetryAfter = max(time.Second, retryAfter)
	switch {
	case errors.Is(err, session.ErrTransient):
		f.Reason = Transient
	case errors.Is(err, session.ErrServerError):
		f.Reason = Server
	case status == http.StatusTooManyRequests:
		f.Reason = SlowDown
	case 300 <= status && status < 400:
		f.Reason = Redirect
	}
	if 300 <= status && status < 500 && f.Reason != Transient {
		f.Answer, f.verdict = content, healthy // it says nothing against the upstream, but something to clients
	}
	return f
}

// BrokenAnswer is the failure of an answer whose body broke off.
func BrokenAnswer(err error) *Failure { return brokenExchange(err) }
