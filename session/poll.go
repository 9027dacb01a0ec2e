package session

// PollOptions says for whom a poll is made.
type PollOptions struct {
	// Origin is that of the page that caused the poll, and is sent upstream as Origin.
	// Empty: none is sent.
	Origin string
	// Client is closed once a client waits for the answer; until then the poll is a
	// watch's, and gives way to those of clients. Nil: a client waits from the start.
	Client <-chan struct{}
	// CORS is told of the Access-Control-* fields, and of nothing else, of any answer
	// that came, also of one that is no observation. It is called only if Origin is
	// set, at most once, and before the poll returns. Nil: nobody wants to know.
	CORS func([]Field)
}
