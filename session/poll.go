package session

import (
	"time"

	"pollbridge/tracing"
)

// PollOptions says for whom a poll is made. The zero value is a poll for a client that
// waits and that no page of another origin has sent.
type PollOptions struct {
	// Origin is that of the page that caused the poll, sent upstream as Origin. Empty:
	// no Origin is sent.
	Origin string
	// Client is closed once a client waits for the answer. Nil: one does from the start.
	// Until then it is a watch's poll and gives way to clients' where their rate is
	// limited.
	Client <-chan struct{}
	// CORS is told, if Origin is set, of the Access-Control-* fields, and nothing else,
	// of any answer that came, also of one that is no observation. It is called at most
	// once, before the poll returns, and may keep what it is given. Nil: nobody wants to
	// know.
	CORS func([]Field)
	// Fresh is told for how long the observation serves, from when it was made, where another
	// replica has made it and says so. It is called at most once, before the poll returns. Nil:
	// nobody wants to know.
	Fresh func(time.Duration)
	// Pending is when what the caller knows was observed, if that is a pending answer: until then
	// nobody was given a final one. Zero: it is not, or nothing is known.
	Pending time.Time
	// Asking is called just before the upstream is asked by this process, if another one might be
	// in its place. It must not block, nor ask who looks after the session. Nil: nobody wants to know.
	Asking func()
	// Span is that of the poll; nil: there is none.
	Span *tracing.Span
}
