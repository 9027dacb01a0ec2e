package simulator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Simulator is the simulated API: an http.Handler, safe for concurrent use. Nothing runs in
// the background but the timer of a fault that has an end.
//
// Faults that break a connection end the handler by panicking with http.ErrAbortHandler,
// as net/http asks for; whoever calls ServeHTTP without a server has to recover from it.
type Simulator struct {
	cfg     Config
	signer  signer
	control *http.ServeMux
	closed  context.Context // ended by Close
	close   context.CancelFunc

	mu       sync.Mutex // guards all below
	random   *rand.Rand
	sessions map[string]*session // by token
	byAge    []*session          // the same, oldest first
	fault    *activeFault        // nil: none
	stats    Stats
}

// New returns a Simulator without sessions. The error reports every mistake in cfg at
// once. Close it when no more requests are wanted.
func New(cfg Config) (*Simulator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	seed := cmp.Or(cfg.Seed, 1+rand.Uint64N(1e9)) // short enough to be typed again
	signer, err := newSigner(seed)
	if err != nil {
		return nil, fmt.Errorf("simulator: test certificate: %w", err)
	}
	cfg.ForgetAfter = cmp.Or(cfg.ForgetAfter, time.Hour)
	cfg.AccessTokens, cfg.Outcomes = slices.Clone(cfg.AccessTokens), maps.Clone(cfg.Outcomes)
	s := &Simulator{
		cfg:      cfg,
		signer:   signer,
		random:   rand.New(rand.NewPCG(seed, seed)),
		sessions: make(map[string]*session),
		stats:    Stats{Seed: seed, Ended: map[Outcome]int64{}},
	}
	s.closed, s.close = context.WithCancel(context.Background())
	s.control = s.newControl()
	return s, s.SetFault(cfg.Fault)
}

// Close drops the connection of every request that waits, hung, slow and delayed ones
// included, and of every later one that would. It does not wait for them: the server
// around it does. Calling it again is harmless.
func (s *Simulator) Close() {
	s.close()
	s.ClearFault()
}

// ServeHTTP answers the API and, under /_simulator/, the control calls.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control.ServeHTTP(w, r)
		return
	}
	s.serveCall(w, r, route(r))
}

func (s *Simulator) serveCall(w http.ResponseWriter, r *http.Request, c call) {
	defer s.arrive(c)()
	if s.cfg.CORS && allowOrigin(w, r) {
		return
	}
	s.mu.Lock()
	latency := s.cfg.Latency.draw(s.random)
	s.mu.Unlock()
	if !s.wait(r, latency) {
		return
	}
	if hit, ok := s.hits(w, r, c); ok {
		hit.spoil()
		return
	}
	s.answer(r, c).send(w)
}

// allowOrigin lets pages of the request's origin read the answer. It is true for a
// preflight, which is then answered.
func allowOrigin(w http.ResponseWriter, r *http.Request) (preflight bool) {
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Set("Vary", "Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", method)
	if fields := r.Header.Get("Access-Control-Request-Headers"); fields != "" {
		h.Set("Access-Control-Allow-Headers", fields)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (s *Simulator) answer(r *http.Request, c call) answer {
	switch c.kind {
	case startCall:
		return s.answerStart(r, c)
	case statusCall:
		return s.answerStatus(r, c)
	}
	return answer{http.StatusNotFound, textType, []byte("There is no such call; GET " + controlPrefix + " lists those there are.\n")}
}

func (s *Simulator) accepts(credential string) bool {
	return credential != "" && (len(s.cfg.AccessTokens) == 0 || slices.Contains(s.cfg.AccessTokens, credential))
}

// wait lets d pass. It is false if the client left in the meantime, and drops the
// connection if the Simulator was closed.
func (s *Simulator) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	case <-s.closed.Done():
		abort()
		return false
	}
}

// abort ends the call without finishing the answer: net/http then closes the connection.
func abort() { panic(http.ErrAbortHandler) }

// uuid is a token as the upstream's are: a version 4 UUID.
func uuid(r *rand.Rand) string {
	hi, lo := r.Uint64(), r.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}
