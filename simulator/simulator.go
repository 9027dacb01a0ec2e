package simulator

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Simulator is the simulated API: an http.Handler, safe for concurrent use. It
// starts no goroutines.
//
// Faults that break a connection end the handler by panicking with
// http.ErrAbortHandler, as net/http asks for; whoever calls ServeHTTP without a
// server has to recover from it.
type Simulator struct {
	cfg     Config
	signer  signer
	control *http.ServeMux
	closing chan struct{} // closed by Close

	mu         sync.Mutex // guards all below
	draws      randomness // tokens, times, outcomes
	latencies  randomness
	chances    randomness // of faults
	table      sessions
	fault      activeFault
	documents  documents
	counts     counts
	visits     map[*visit]struct{} // requests being served
	left       *sync.Cond          // signalled when a visit ends
	events     []Event             // not yet announced
	announcing bool                // a goroutine is handing events to the listener
}

// New returns a Simulator without sessions. The error reports every mistake in
// cfg at once. Close it when no more requests are wanted.
func New(cfg Config) (*Simulator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	cfg = cfg.withDefaults()
	for cfg.Seed == 0 {
		cfg.Seed = rand.Uint64N(1e9) // short enough to be typed again
	}
	signer, err := newSigner(cfg.Seed, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("simulator: test certificate: %w", err)
	}
	s := &Simulator{
		cfg:       cfg,
		signer:    signer,
		closing:   make(chan struct{}),
		draws:     newRandomness(cfg.Seed, forSessions),
		latencies: newRandomness(cfg.Seed, forLatency),
		chances:   newRandomness(cfg.Seed, forFaults),
		table:     newSessions(cfg.MaxSessions),
		counts:    newCounts(),
		visits:    make(map[*visit]struct{}),
	}
	s.left = sync.NewCond(&s.mu)
	s.control = s.newControl()
	return s, s.SetFault(cfg.Fault)
}

// ServeHTTP answers the API and, under /_simulator/, the control calls. After
// Close it answers 503.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, ok := s.enter(w)
	if !ok {
		http.Error(w, "the simulator is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.leave(v)
	if strings.HasPrefix(r.URL.Path+"/", controlPrefix) {
		s.serveControl(w, r)
		return
	}
	s.serveCall(w, r, route(r))
}

func (s *Simulator) serveCall(w http.ResponseWriter, r *http.Request, c call) {
	defer s.arrive(c)()
	if !s.wait(r, s.latency()) {
		return
	}
	hit, ok := s.strikes(c)
	switch {
	case !ok:
		send(w, s.answer(r, c, true))
	case hit.strike.spoils != nil:
		hit.strike.spoils(s, w, r, hit, s.answer(r, c, hit.strike.usesUp))
	default:
		// With the body unread, net/http would not notice that the client leaves,
		// and closing would send RST where FIN is meant.
		discard(r.Body)
		hit.strike.replaces(s, w, r, hit)
	}
}

// answer carries out the call. Only if counts is set does it use up a one-shot
// final answer.
func (s *Simulator) answer(r *http.Request, c call, counts bool) answer {
	switch c.kind {
	case startCall:
		return s.answerStart(r, c)
	case statusCall:
		return s.answerStatus(r, c, counts)
	case uploadCall:
		return s.answerUpload(r)
	case checkCall:
		return s.answerCheck(c)
	case removeCall:
		return s.answerRemove(c)
	case wrongMethod:
		return answer{status: http.StatusMethodNotAllowed, allow: c.allow, contentType: textType, body: text("Method Not Allowed\n")}
	}
	return answer{status: http.StatusNotFound, contentType: textType, body: text("Not Found\n")}
}

func (s *Simulator) accepts(credential string) bool {
	return credential != "" && (len(s.cfg.AccessTokens) == 0 || slices.Contains(s.cfg.AccessTokens, credential))
}

func (s *Simulator) latency() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Latency.draw(s.latencies.Rand)
}

func (s *Simulator) coin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chances.IntN(2) == 0
}

// wait lets d pass. It is false if the client left in the meantime, and drops the
// connection if the Simulator was closed.
func (s *Simulator) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	case <-s.closing:
		abort()
		return false
	}
}
