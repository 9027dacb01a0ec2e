package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Classes of errors of an attempt.
const (
	ErrorStatus   = "status"   // the receiver answered, but not 2xx
	ErrorRedirect = "redirect" // the receiver answered 3xx, which is not followed
	ErrorTimeout  = "timeout"  // no answer in time
	ErrorDNS      = "dns"      // the host's name has no address
	ErrorRefused  = "refused"  // the address is none that webhooks may go to
	ErrorTLS      = "tls"      // no trust in the receiver's certificate, or no handshake
	ErrorConnect  = "connect"  // nobody listens
	ErrorBroken   = "broken"   // the connection broke
)

const (
	keptAnswer = 4 << 10
	answerTime = time.Second // for reading that much once the head has come
	mostHeader = 64 << 10
	mostWait   = 24 * time.Hour // that Retry-After can ask for
)

// sender makes attempts. It follows no redirect, uses no proxy, and connects to no
// address that its guard refuses.
type sender struct {
	cfg       Config
	userAgent string
	guard     *guard
	client    *http.Client
}

// dialing is what a test can replace; a nil value means what the system has.
type dialing struct {
	resolver *net.Resolver
	roots    *x509.CertPool
}

func newSender(cfg Config, userAgent string, d dialing) *sender {
	g := newGuard(cfg)
	dialer := &net.Dialer{Resolver: d.resolver, Control: g.control, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                  nil, // and none from the environment: it would do the dialling
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // answers are kept as they are, and never grow
		MaxResponseHeaderBytes: mostHeader,
		MaxIdleConnsPerHost:    cfg.Concurrency, // or what is beyond it is dialled anew all the time
		MaxIdleConns:           1024,
		IdleConnTimeout:        time.Minute,
	}
	return &sender{
		cfg: cfg, userAgent: userAgent, guard: g,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// trusted returns the authorities that may vouch for receivers: the system's, or those
// of a test, and besides them those of Config.CAFile. Nil means the system's alone.
func trusted(cfg Config, system *x509.CertPool) (*x509.CertPool, error) {
	pem, err := cfg.authorities()
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	if pem == nil {
		return system, nil
	}
	if system == nil {
		if system, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("reading the certificates that the system trusts: %w", err)
		}
	}
	roots := system.Clone()
	roots.AppendCertsFromPEM(pem)
	return roots, nil
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// message is what an attempt sends.
type message struct {
	url     string
	id      string
	payload []byte
	headers map[string]string
	keys    []string
}

// outcome is how an attempt went, and what the receiver asked for.
type outcome struct {
	Attempt
	retryAfter time.Duration // 0: it did not say
	gone       bool          // it wants no more webhooks
}

// send makes one attempt. The head of the answer decides, whatever becomes of the
// body. It returns when the beginning of that was read or ctx has ended, and no later
// than Config.Timeout.
func (s *sender) send(ctx context.Context, m message) outcome {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	start := time.Now()
	o := outcome{Attempt: Attempt{At: start}}
	response, err := s.request(ctx, m, start)
	if err == nil {
		o.Status = response.StatusCode
		o.Answer = readAnswer(response, cancel)
	}
	o.Duration = time.Since(start)
	switch {
	case err != nil:
		o.Error, o.Detail = classify(err)
	case o.Status/100 == 2:
	case o.Status/100 == 3:
		o.Error, o.Detail = ErrorRedirect, "answered "+strconv.Itoa(o.Status)+": redirects are not followed"
	default:
		o.Error, o.Detail = ErrorStatus, "answered "+strconv.Itoa(o.Status)
		o.gone = o.Status == http.StatusGone
		o.retryAfter = retryAfter(response, start)
	}
	return o
}

func (s *sender) request(ctx context.Context, m message, at time.Time) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.payload))
	if err != nil {
		return nil, errors.New("the URL is invalid") // the error would repeat it
	}
	signature, err := Sign(m.id, at, m.payload, m.keys...)
	if err != nil {
		return nil, err
	}
	// Not sent: it lets the transport repeat the request where a kept connection turns
	// out to be closed, which it does for no other POST. webhook-id makes that harmless.
	request.Header["Idempotency-Key"] = nil
	for name, value := range m.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set(HeaderID, m.id)
	request.Header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(HeaderSignature, signature)
	return s.client.Do(request)
}

// readAnswer returns the beginning of an answer and closes its body: a connection with
// more on it is not used again. It calls cancel where that takes too long.
func readAnswer(response *http.Response, cancel context.CancelFunc) string {
	defer response.Body.Close()
	if response.StatusCode < 200 { // the body of a 101 is the connection
		return ""
	}
	defer time.AfterFunc(answerTime, cancel).Stop()
	kept, _ := io.ReadAll(io.LimitReader(response.Body, keptAnswer)) // what has come is told
	return strings.ToValidUTF8(strings.ReplaceAll(string(kept), "\x00", ""), "\uFFFD")
}

// classify says what went wrong without the URL, which may hold a secret.
func classify(err error) (class, detail string) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
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
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrorBroken, "the connection was closed before an answer"
	}
	return ErrorBroken, "the request failed"
}

// refusal is the part of a dial error that the guard wrote.
func refusal(err error) string {
	_, after, _ := strings.Cut(err.Error(), errRefused.Error())
	return errRefused.Error() + after
}

// retryAfter reads Retry-After where it counts, in seconds or as a date.
func retryAfter(response *http.Response, now time.Time) time.Duration {
	if !slices.Contains([]int{429, 502, 503, 504}, response.StatusCode) {
		return 0
	}
	value := strings.TrimSpace(response.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(mostWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), mostWait)
	}
	return 0
}
