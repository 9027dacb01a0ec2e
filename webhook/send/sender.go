package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pollbridge/internal/retryafter"
	"pollbridge/tracing"
	"pollbridge/webhook/signature"
)

const (
	keptAnswer = 4 << 10
	answerTime = time.Second // for reading that much once the head has come
	mostHeader = 64 << 10

	// idleTime is less than the 5 s after which Node.js, Apache and uvicorn close an idle
	// connection: what is sent just then is lost.
	idleTime = 4 * time.Second
)

// Sender makes attempts. It is safe for concurrent use. Create it with New.
type Sender struct {
	cfg        Config
	userAgent  string
	guard      *guard
	transport  *http.Transport
	answerTime time.Duration
	tracer     *tracing.Tracer
}

// Options is what a Sender needs besides its configuration.
type Options struct {
	UserAgent string // such as pollbridge/1.0
	// Concurrency is how many attempts at one host may be under way at a time: so many of
	// its connections are kept.
	Concurrency int
	Resolver    *net.Resolver   // nil: the system's
	Roots       *x509.CertPool  // authorities that are trusted besides those of Config.CAFile; nil: the system's
	Tracer      *tracing.Tracer // makes the spans of attempts; nil: there are none
}

// New returns a Sender. It reads Config.CAFile.
func New(cfg Config, o Options) (*Sender, error) {
	roots, err := cfg.trusted(o.Roots)
	if err != nil {
		return nil, err
	}
	g := newGuard(cfg)
	// net/http goes on dialling when the attempt is over, for others: so that has bounds
	// of its own.
	dialer := &net.Dialer{Resolver: o.Resolver, Control: g.control, Timeout: cfg.Timeout, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy: nil, // and none from the environment: it would do the dialling
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c}, nil
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    cfg.Timeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  http2Config,
		DisableCompression:     true, // answers are kept as they are, and never grow
		MaxResponseHeaderBytes: mostHeader,
		MaxIdleConnsPerHost:    o.Concurrency, // or what is beyond it is dialled anew all the time
		MaxIdleConns:           1024,
		IdleConnTimeout:        idleTime,
	}
	return &Sender{cfg: cfg, userAgent: o.UserAgent, guard: g, transport: transport, answerTime: answerTime, tracer: o.Tracer}, nil
}

// http2Config bounds what comes of a body before it is read, and how long a connection is
// used on which nothing comes any more.
var http2Config = &http.HTTP2Config{
	MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10,
	SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second,
}

// Close closes the connections that are not in use. Attempts under way go on.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Message is what an attempt sends.
type Message struct {
	URL     string // one that CheckURL takes
	ID      string // webhook-id: the same in each attempt at the same message
	Payload []byte // a JSON object
	Headers map[string]string
	Keys    []string // that sign, see signature.Sign
	Trace   tracing.Delivery
}

// Send makes one attempt. The head of the answer decides, whatever becomes of the
// body. It returns when the beginning of that was read or ctx has ended, and no later
// than after Config.Timeout.
func (s *Sender) Send(ctx context.Context, m Message) Outcome {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	o := Outcome{Attempt: Attempt{At: time.Now()}}
	span := s.begin(m)
	defer span.End()
	o.Span = span.Context()
	response, err := s.exchange(ctx, m, o.At, span)
	if err == nil {
		o.Status = response.StatusCode
		o.Answer = readAnswer(response, s.answerTime, cancel)
	}
	o.Duration = time.Since(o.At)
	defer func() { tell(span, o) }()
	switch {
	case err != nil:
		o.Error, o.Detail = classify(err)
	case o.Status/100 == 2:
	case o.Status/100 == 3:
		o.Error, o.Detail = ErrorRedirect, "answered "+strconv.Itoa(o.Status)+": redirects are not followed"
	default:
		o.Error, o.Detail = ErrorStatus, "answered "+strconv.Itoa(o.Status)
		o.Gone = o.Status == http.StatusGone
		o.RetryAfter = retryAfter(response, o.At)
	}
	return o
}

// begin begins the span of an attempt.
func (s *Sender) begin(m Message) *tracing.Span {
	u, err := url.Parse(m.URL)
	if s.tracer == nil || err != nil {
		return nil
	}
	return s.tracer.Attempt(m.Trace, m.ID, tracing.PeerOf(u))
}

// tell says in the span of an attempt how that went.
func tell(span *tracing.Span, o Outcome) {
	if o.Status != 0 {
		span.Status(o.Status)
	}
	if o.Error != "" && o.Error != ErrorStatus {
		span.Failed(o.Error)
	}
}

// exchange sends a message and returns the head of the answer.
func (s *Sender) exchange(ctx context.Context, m Message, at time.Time, span *tracing.Span) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, nil)
	if err != nil {
		return nil, errors.New("the URL is invalid") // the error would repeat it
	}
	signed, err := signature.Sign(m.ID, at, m.Payload, m.Keys...)
	if err != nil {
		return nil, err
	}
	for name, value := range m.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set(signature.HeaderID, m.ID)
	request.Header.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(signature.HeaderSignature, signed)
	span.Context().Write(request.Header.Set)
	request.ContentLength = int64(len(m.Payload))
	for {
		// Without GetBody, as net/http would send again what it thinks can be.
		var t trip
		request := request.WithContext(t.trace(ctx))
		request.Body = io.NopCloser(bytes.NewReader(m.Payload))
		// No http.Client: it follows redirects, and fails where it cannot read where to.
		response, err := s.transport.RoundTrip(request)
		if status := t.status.Load(); err != nil && status != 0 {
			return &http.Response{StatusCode: int(status), Body: http.NoBody}, nil
		}
		if err == nil || ctx.Err() != nil || !t.wasIdle || t.sent() {
			return response, err
		}
	}
}

// readAnswer returns the beginning of an answer and closes its body: a connection with
// more on it is not used again. It calls cancel where that takes too long.
func readAnswer(response *http.Response, most time.Duration, cancel context.CancelFunc) string {
	defer response.Body.Close()
	if response.StatusCode < 200 { // the body of a 101 is the connection
		return ""
	}
	defer time.AfterFunc(most, cancel).Stop()
	kept, _ := io.ReadAll(io.LimitReader(response.Body, keptAnswer)) // what has come is told
	return strings.ToValidUTF8(strings.ReplaceAll(string(kept), "\x00", ""), "\uFFFD")
}

// retryAfter reads Retry-After where it counts, in seconds or as a date.
func retryAfter(response *http.Response, now time.Time) time.Duration {
	if !slices.Contains([]int{429, 502, 503, 504}, response.StatusCode) {
		return 0
	}
	return retryafter.Read(response.Header.Get("Retry-After"), now)
}
