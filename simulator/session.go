package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// ErrNoSession is returned for a token that the Simulator does not hold.
var ErrNoSession = errors.New("no session has this token")

// Session is what is known of one session: a copy, which does not change.
type Session struct {
	Token       string   `json:"token"`
	Endpoint    Endpoint `json:"endpoint"`
	ControlCode string   `json:"control_code"`
	AccessToken string   `json:"-"` // the credential that it was started with

	// State is Waiting until the session ends, its Outcome from then on, and Forgotten
	// once the token is answered 40402.
	State Outcome `json:"state"`
	// Outcome is what the session ends with, known from the start.
	Outcome Outcome `json:"outcome"`

	Started time.Time `json:"started"`
	Ends    time.Time `json:"ends,omitzero"`  // when it will end or has ended; zero if never by itself
	Ended   time.Time `json:"ended,omitzero"` // zero while waiting

	// Polls counts the status calls for the token, those that a fault hit and those
	// with a wrong credential included.
	Polls int64 `json:"polls"`
	// MaxInFlight is the largest number of polls under way at one time.
	MaxInFlight int `json:"max_in_flight"`
	// FinalAnswers counts how often the outcome was answered.
	FinalAnswers int64 `json:"final_answers"`
}

// session is the living record behind Session. All of it is guarded by Simulator.mu.
type session struct {
	Session
	fileSize Size
	inFlight int
}

func (x *session) final() bool { return x.State != Waiting && x.State != Forgotten }

// StartRequest describes a session to start without HTTP. Only AccessToken is needed.
type StartRequest struct {
	AccessToken string
	Endpoint    Endpoint      // "" means SmartIDSign
	Outcome     Outcome       // "" means drawn from Config.Outcomes; Waiting never ends by itself
	SignAfter   time.Duration // 0 means drawn from Config.SignAfter
	FileSize    Size          // 0 means Config.FileSize
}

// Start begins a session as a start call would, but without latency or faults. The error
// names every mistake in req.
func (s *Simulator) Start(req StartRequest) (Session, error) {
	req.Endpoint = cmp.Or(req.Endpoint, SmartIDSign)
	err := errors.Join(
		field("Endpoint", req.Endpoint.validate()),
		field("Outcome", cmp.Or(req.Outcome, Waiting).validate()),
		field("SignAfter", Fixed(req.SignAfter).validate()),
		field("FileSize", req.FileSize.validate()),
	)
	if !s.accepts(req.AccessToken) {
		err = errors.Join(err, errors.New("AccessToken: it is empty or not one of Config.AccessTokens"))
	}
	if err != nil {
		return Session{}, fmt.Errorf("simulator: start: %w", err)
	}
	return s.start(req), nil
}

// start draws even what the request fixes, so that fixing it for one session leaves the
// others as they would be.
func (s *Simulator) start(req StartRequest) Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	after := s.cfg.SignAfter.draw(s.random)
	x := &session{
		Session: Session{
			Token: uuid(s.random), ControlCode: fmt.Sprintf("%04d", s.random.IntN(10_000)), Endpoint: req.Endpoint,
			AccessToken: req.AccessToken, State: Waiting, Outcome: s.cfg.Outcomes.draw(s.random), Started: now,
		},
		fileSize: cmp.Or(req.FileSize, s.cfg.FileSize),
	}
	x.Outcome = cmp.Or(req.Outcome, x.Outcome)
	if x.Outcome != Waiting {
		x.Ends = now.Add(cmp.Or(req.SignAfter, after))
	}
	s.addLocked(x)
	s.stats.Starts++
	s.tellLocked(Event{Kind: EventStarted, Time: now, Session: x.Session})
	return x.Session
}

// maxSessions bounds the sessions in memory, of about 0.5 KiB each: the oldest make room
// for new ones.
const maxSessions = 200_000

func (s *Simulator) addLocked(x *session) {
	if len(s.byAge) == maxSessions {
		delete(s.sessions, s.byAge[0].Token)
		s.byAge[0] = nil
		s.byAge = s.byAge[1:]
	}
	s.sessions[x.Token] = x
	s.byAge = append(s.byAge, x)
}

// Finish ends the session of token now, with any outcome: it need not be waiting.
// Forgotten makes its token unknown, Waiting makes it pending again, to stay so until the
// next Finish. A one-shot answer that was used up is there again. The error is
// ErrNoSession or names the outcome.
func (s *Simulator) Finish(token string, outcome Outcome) error {
	if err := outcome.validate(); err != nil {
		return fmt.Errorf("simulator: finish: outcome: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.findLocked(token)
	if !ok {
		return fmt.Errorf("simulator: finish: %w", ErrNoSession)
	}
	now := time.Now()
	x.Outcome, x.Ends = outcome, now
	if outcome == Waiting {
		x.State, x.Ends, x.Ended = Waiting, time.Time{}, time.Time{}
		s.tellLocked(Event{Kind: EventReopened, Time: now, Session: x.Session})
		return nil
	}
	s.endLocked(x, now)
	return nil
}

// Session returns a copy of what is known of token, also after it was forgotten; false if
// the Simulator does not hold it.
func (s *Simulator) Session(token string) (Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.findLocked(token)
	if !ok {
		return Session{}, false
	}
	return x.Session, true
}

// AdvanceAll ends and forgets every session whose time has come. A session that is asked for
// is advanced first, so AdvanceAll is needed only to hear of events while no calls come in.
func (s *Simulator) AdvanceAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanceAllLocked()
}

func (s *Simulator) advanceAllLocked() {
	now := time.Now()
	for _, x := range s.byAge {
		s.advanceLocked(x, now)
	}
}

func (s *Simulator) findLocked(token string) (*session, bool) {
	x, ok := s.sessions[token]
	if ok {
		s.advanceLocked(x, time.Now())
	}
	return x, ok
}

// advanceLocked is how sessions go on by the clock, without timers.
func (s *Simulator) advanceLocked(x *session, now time.Time) {
	if x.State == Waiting && !x.Ends.IsZero() && !now.Before(x.Ends) {
		s.endLocked(x, x.Ends)
	}
	if forgotten := x.Ended.Add(s.cfg.ForgetAfter); x.final() && !now.Before(forgotten) {
		s.forgetLocked(x, forgotten)
	}
}

func (s *Simulator) endLocked(x *session, at time.Time) {
	s.stats.Ended[x.Outcome.Base()]++
	x.Ended = at
	if x.Outcome == Forgotten {
		s.forgetLocked(x, at)
		return
	}
	x.State = x.Outcome
	s.tellLocked(Event{Kind: EventEnded, Time: at, Session: x.Session})
}

func (s *Simulator) forgetLocked(x *session, at time.Time) {
	x.State = Forgotten
	s.tellLocked(Event{Kind: EventForgotten, Time: at, Session: x.Session})
}
