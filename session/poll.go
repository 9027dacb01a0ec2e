package session

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
}
