package simulator

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoSession is returned for a token that the Simulator does not hold.
var ErrNoSession = errors.New("no session has this token")

// StartRequest describes a session to start without HTTP. Only AccessToken is
// needed.
type StartRequest struct {
	AccessToken string
	Endpoint    Endpoint      // "" means SmartIDSign
	Outcome     Outcome       // "" means drawn from Config.Outcomes; Waiting never ends by itself
	SignAfter   time.Duration // 0 means drawn from Config.SignAfter
	FileSize    int64         // 0 means drawn from Config.FileSize
	FileType    string        // the extension of the signed document, "" means pdf
}

// Start begins a session as a start call would, but without latency or faults.
func (s *Simulator) Start(req StartRequest) (Session, error) {
	if req.Endpoint == "" {
		req.Endpoint = SmartIDSign
	}
	if err := s.checkStart(req); err != nil {
		return Session{}, fmt.Errorf("simulator: start: %w", err)
	}
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settleLocked()
	return s.startLocked(req, now).snapshot(), nil
}

func (s *Simulator) checkStart(req StartRequest) error {
	var outcome, credential error
	if req.Outcome != "" {
		outcome = req.Outcome.validate()
	}
	if !s.accepts(req.AccessToken) {
		credential = errors.New("it is empty or not one of Config.AccessTokens")
	}
	return errors.Join(
		field("AccessToken", credential),
		field("Endpoint", req.Endpoint.validate()),
		field("Outcome", outcome),
		field("SignAfter", Fixed(req.SignAfter).validate()),
		field("FileSize", FixedSize(req.FileSize).validate()),
	)
}

// startLocked draws even what the request fixes, so that fixing it for one
// session leaves the others as they would be.
func (s *Simulator) startLocked(req StartRequest, now time.Time) *session {
	token := s.draws.token()
	code := s.draws.controlCode()
	outcome := s.cfg.Outcomes.draw(s.draws.Rand)
	after := s.cfg.SignAfter.draw(s.draws.Rand)
	size := s.cfg.FileSize.draw(s.draws.Rand)

	if req.Outcome != "" {
		outcome = req.Outcome
	}
	if req.SignAfter != 0 {
		after = req.SignAfter
	}
	if req.FileSize != 0 {
		size = req.FileSize
	}
	if req.FileType == "" {
		req.FileType = "pdf"
	}

	started := &session{
		Session: Session{
			Token: token, Endpoint: req.Endpoint, ControlCode: code, AccessToken: req.AccessToken,
			State: Waiting, Outcome: outcome, Started: now,
		},
		fileSize: size,
		fileType: req.FileType,
		due:      now.Add(waitingFor),
	}
	if outcome != Waiting {
		started.Ends = now.Add(after)
		started.due = started.Ends
	}
	s.table.add(started)
	s.counts.starts++
	s.noteLocked(Event{Kind: EventStarted, Time: now, Session: started.brief()})
	return started
}

// Finish ends the session of token now, with any outcome: it need not be waiting.
// Forgotten makes its token unknown, Waiting makes it pending again, to stay so
// until the next Finish. A one-shot answer that was used up is there again. The
// error is ErrNoSession or names the outcome.
func (s *Simulator) Finish(token string, outcome Outcome) error {
	if err := outcome.validate(); err != nil {
		return fmt.Errorf("simulator: finish: %w", err)
	}
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settleLocked()
	found, ok := s.table.byToken[token]
	if !ok {
		return fmt.Errorf("simulator: finish: %w", ErrNoSession)
	}
	found.Outcome, found.Ends = outcome, now
	if outcome == Waiting {
		s.reopenLocked(found, now)
	} else {
		s.endLocked(found, now)
	}
	return nil
}

// Session returns a copy of what is known of token, also for ten minutes after it
// was forgotten; false if the Simulator does not hold it.
func (s *Simulator) Session(token string) (Session, bool) {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	found, ok := s.table.byToken[token]
	if !ok {
		return Session{}, false
	}
	return found.snapshot(), true
}

// Settle notices what became due by the clock: sessions whose time has come end,
// old ones are forgotten, a fault that ran out is lifted. Every call does this
// first, so Settle is needed only to hear of events while no calls come in.
func (s *Simulator) Settle() {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
}

// settleLocked returns the time up to which everything is settled.
func (s *Simulator) settleLocked() time.Time {
	now := s.cfg.Now()
	for {
		due, ok := s.table.next(now)
		if !ok {
			break
		}
		s.advanceLocked(due)
	}
	s.expireFaultLocked(now)
	return now
}

func (s *Simulator) advanceLocked(due *session) {
	switch {
	case due.State == Forgotten:
		s.table.remove(due)
	case due.State == Waiting && due.Outcome != Waiting:
		s.endLocked(due, due.due)
	default:
		s.forgetLocked(due, due.due)
	}
}

func (s *Simulator) endLocked(ending *session, at time.Time) {
	s.counts.ended[ending.Outcome.Base()]++
	ending.Ended = at
	if ending.Outcome == Forgotten {
		s.forgetLocked(ending, at)
		return
	}
	ending.State = ending.Outcome
	s.table.reschedule(ending, at.Add(s.cfg.ForgetAfter))
	s.noteLocked(Event{Kind: EventEnded, Time: at, Session: ending.brief()})
}

func (s *Simulator) forgetLocked(old *session, at time.Time) {
	old.State = Forgotten
	s.table.reschedule(old, at.Add(rememberFor))
	s.noteLocked(Event{Kind: EventForgotten, Time: at, Session: old.brief()})
}

func (s *Simulator) reopenLocked(again *session, now time.Time) {
	again.State, again.Ends, again.Ended = Waiting, time.Time{}, time.Time{}
	s.table.reschedule(again, now.Add(waitingFor))
	s.noteLocked(Event{Kind: EventReopened, Time: now, Session: again.brief()})
}

// collectLocked records that the final answer is given, and uses it up if
// answers are one-shot and this one counts.
func (s *Simulator) collectLocked(asked *session, now time.Time) {
	asked.FinalAnswers++
	if asked.Collected.IsZero() {
		asked.Collected = now
		s.noteLocked(Event{Kind: EventCollected, Time: now, Session: asked.brief()})
	}
	if s.cfg.OneShot {
		s.forgetLocked(asked, now)
	}
}
