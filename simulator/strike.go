package simulator

import "net/http"

// strike is how a fault shows on the wire.
type strike struct {
	mode Mode
	help string
	// spoils takes the answer that would have been given and sends it badly; nil
	// if the fault does without.
	spoils func(*Simulator, http.ResponseWriter, *http.Request, struck, answer)
	// replaces sends something else; the call has then had no effect upstream.
	replaces func(*Simulator, http.ResponseWriter, *http.Request, struck)
	usesUp   bool // a one-shot final answer counts as given
}

var strikes = []strike{
	{mode: Error500, help: "HTTP 500 with code 50000", replaces: sendError500},
	{mode: Error502, help: "HTTP 502 with a page of HTML", replaces: sendError502},
	{mode: Transient, help: "HTTP 200 with code 50001 or 50002", replaces: sendTransient},
	{mode: Hang, help: "no answer until the fault is lifted, then dropped", replaces: hang},
	{mode: Reset, help: "TCP RST", replaces: reset},
	{mode: Drop, help: "closed without an answer", replaces: drop},
	{mode: Garbage, help: "HTTP 200, application/json, random bytes", replaces: sendGarbage},
	{mode: HTML, help: "HTTP 200 with a page of HTML", replaces: sendHTML},
	{mode: HalfBody, help: "whole Content-Length, half of the answer, closed", spoils: sendHalf, usesUp: true},
	{mode: WrongLength, help: "Content-Length too small for the answer", spoils: sendWrongLength},
	{mode: TruncatedChunked, help: "chunked, half of the answer, no last chunk", spoils: sendTruncated, usesUp: true},
	{mode: Gzip, help: "compressed though nobody asked", spoils: sendGzip},
	{mode: Redirect, help: "HTTP 302 to /_simulator/redirected", replaces: sendRedirect},
	{mode: Empty, help: "HTTP 200 without a body", replaces: sendEmpty},
	{mode: Slow, help: "the answer in 20 pieces, pace apart", spoils: sendSlowly},
	{mode: IdleClose, help: "the answer, then closed unannounced", spoils: sendAndClose},
}

func strikeOf(m Mode) (strike, bool) {
	for _, s := range strikes {
		if s.mode == m {
			return s, true
		}
	}
	return strike{}, false
}
