package simulator

import (
	"slices"
	"time"
)

// Session is what is known of one session: a copy, which does not change.
type Session struct {
	Token       string   `json:"token"`
	Endpoint    Endpoint `json:"endpoint"`
	ControlCode string   `json:"control_code"`
	AccessToken string   `json:"-"` // the credential that it was started with

	// State is Waiting until the session ends, its Outcome from then on, and
	// Forgotten once the token is answered 40402.
	State Outcome `json:"state"`
	// Outcome is what the session ends with, known from the start.
	Outcome Outcome `json:"outcome"`

	Started time.Time `json:"started"`
	Ends    time.Time `json:"ends,omitzero"`  // when it will end or has ended; zero if never by itself
	Ended   time.Time `json:"ended,omitzero"` // zero while waiting

	// Polls counts the status calls for the token, faulted ones and those with a
	// wrong credential included.
	Polls int64 `json:"polls"`
	// MaxInFlight is the largest number of polls under way at one time.
	MaxInFlight int `json:"max_in_flight"`
	// PollTimes are the arrivals of the last 100 polls, oldest first.
	PollTimes []time.Time `json:"poll_times,omitempty"`
	// FinalAnswers counts how often the outcome was answered, and Collected is the
	// first time; zero if nobody asked yet.
	FinalAnswers int64     `json:"final_answers"`
	Collected    time.Time `json:"collected,omitzero"`
}

const (
	maxPollTimes = 100
	// A session that nobody ends is forgotten after a day.
	waitingFor = 24 * time.Hour
	// A forgotten session can still be inspected for this long.
	rememberFor = 10 * time.Minute
)

// session is the living record behind Session, whose PollTimes it leaves empty.
// Everything in it but what is set at the start is guarded by Simulator.mu.
type session struct {
	Session
	// PollTimes by the time since the start, a third of the size.
	polledAt []time.Duration
	fileSize int64
	fileType string // the extension of the signed document
	inFlight int
	due      time.Time // when the next thing happens to it by itself
	index    int       // its place in the agenda
	age      ageMark   // its place in the order of starts
}

func (s *session) snapshot() Session {
	copied := s.Session
	for _, since := range s.polledAt {
		copied.PollTimes = append(copied.PollTimes, s.Started.Add(since))
	}
	return copied
}

// brief is the snapshot for events, which come with every poll.
func (s *session) brief() Session { return s.Session }

func (s *session) arrive(now time.Time) {
	s.Polls++
	s.inFlight++
	s.MaxInFlight = max(s.MaxInFlight, s.inFlight)
	if len(s.polledAt) == maxPollTimes {
		s.polledAt = slices.Delete(s.polledAt, 0, 1)
	}
	s.polledAt = append(s.polledAt, now.Sub(s.Started))
}

func (s *session) final() bool { return s.State != Waiting && s.State != Forgotten }
