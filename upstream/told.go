package upstream

import (
	"errors"
	"time"

	"pollbridge/session"

	"github.com/sony/gobreaker/v2"
)

// Told is a failure in a form that another process can be told.
type Told struct {
	Reason     Reason           `json:"reason"`
	RetryAfter time.Duration    `json:"retry_after,omitempty"`
	Answer     *session.Content `json:"answer,omitempty"`
	NotSent    bool             `json:"not_sent,omitempty"`
	Soon       bool             `json:"soon,omitempty"`
	Text       string           `json:"text,omitempty"`
}

// Tell is the inverse of [Told.Failure]. Of an error that is no failure only the text is told.
func Tell(err error) *Told {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return &Told{Reason: Connection, RetryAfter: time.Second, Text: err.Error()}
	}
	told := &Told{Reason: f.Reason, RetryAfter: f.RetryAfter, Answer: f.Answer, NotSent: f.NotSent(), Soon: f.Soon()}
	if f.err != nil {
		told.Text = f.err.Error()
	}
	return told
}

// Failure is the failure that was told of: it says the same, and its cause is a text.
func (t *Told) Failure() *Failure {
	f := &Failure{Reason: t.Reason, RetryAfter: max(time.Second, t.RetryAfter), Answer: t.Answer, sent: !t.NotSent}
	switch {
	case t.Soon:
		f.err = gobreaker.ErrTooManyRequests
	case t.Text != "":
		f.err = errors.New(t.Text)
	}
	return f
}
