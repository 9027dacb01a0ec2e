package simulator

import (
	"net/http"
	"time"
)

// visit is one request being served, control calls included. Close cuts it short.
type visit struct{ connection *http.ResponseController }

func (s *Simulator) enter(w http.ResponseWriter) (*visit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return nil, false
	}
	v := &visit{http.NewResponseController(w)}
	s.visits[v] = struct{}{}
	return v, true
}

func (s *Simulator) leave(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.visits, v)
	s.left.Broadcast()
}

// Close ends every request under way, hung and slow ones included, by dropping
// its connection, and returns when all of them are over. Do not call it from
// within a request or an event. Calling it again is harmless.
func (s *Simulator) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed() {
		close(s.closing)
	}
	for v := range s.visits {
		v.cutShort()
	}
	for len(s.visits) > 0 {
		s.left.Wait()
	}
}

func (s *Simulator) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// cutShort frees a request that is stuck reading from or writing to its client.
// Where there is no connection, there is nothing to be stuck on.
func (v *visit) cutShort() {
	now := time.Now()
	v.connection.SetReadDeadline(now)
	v.connection.SetWriteDeadline(now)
}
