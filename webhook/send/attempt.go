package send

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"pollbridge/tracing"
)

// Classes of errors of an attempt.
const (
	ErrorStatus   = "status"   // the receiver answered, but not 2xx
	ErrorRedirect = "redirect" // the receiver answered 3xx, which is not followed
	ErrorTimeout  = "timeout"  // no answer in time
	ErrorDNS      = "dns"      // the host's name has no address
	ErrorRefused  = "refused"  // the address is none that webhooks may go to
	ErrorTLS      = "tls"      // no trust in the receiver's certificate, or no handshake
	ErrorConnect  = "connect"  // nobody listens, or there is no way there
	ErrorBroken   = "broken"   // the connection broke
)

// Attempt is one request to a receiver and its answer. Deliveries are stored with its JSON.
type Attempt struct {
	At       time.Time
	Duration time.Duration
	Status   int    // of HTTP; 0: no answer
	Error    string // a class such as "timeout", see the Error constants; empty: answered 2xx
	Detail   string // what happened, for people; no URL
	Answer   string // its first 4 KiB
}

// Succeeded reports whether the receiver has taken the message.
func (a Attempt) Succeeded() bool { return a.Error == "" }

// Outcome is how an attempt went, and what the receiver asked for.
type Outcome struct {
	Attempt
	RetryAfter time.Duration        // 0: it did not say
	Gone       bool                 // it wants no more webhooks: 410
	Span       *tracing.SpanContext // of the attempt; nil: there was none
}

// classify says what went wrong, without words of the receiver.
func classify(err error) (class, detail string) {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var operation *net.OpError
	var netError net.Error
	switch {
	case errors.Is(err, errRefused):
		return ErrorRefused, refusal(err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return ErrorTimeout, "no answer in time"
	case errors.As(err, &dns):
		return ErrorDNS, "the host name does not resolve"
	case errors.As(err, &certificate):
		return ErrorTLS, "the certificate is not trusted: " + certificate.Err.Error()
	case errors.As(err, &record):
		return ErrorTLS, "the receiver does not speak TLS"
	case errors.As(err, &operation) && operation.Op == "remote error", strings.HasPrefix(err.Error(), "tls: "): // neither has a type
		return ErrorTLS, "the handshake failed: " + err.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrorConnect, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return ErrorConnect, "no route to the host"
	case operation != nil && operation.Op == "dial":
		return ErrorConnect, "no connection: " + operation.Err.Error()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrorBroken, "the connection was closed before an answer"
	}
	return ErrorBroken, "the receiver broke off, or its answer is not HTTP or has a head of more than 64 KiB"
}

// refusal is the part of a dial error that the guard wrote.
func refusal(err error) string {
	_, after, _ := strings.Cut(err.Error(), errRefused.Error())
	return errRefused.Error() + after
}
