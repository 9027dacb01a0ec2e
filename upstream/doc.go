// Package upstream is the only client of the signing API. It keeps two pools of
// connections, one for status polls and one for everything that passes through,
// behind one circuit breaker and one bound on the requests in flight.
//
// Its promise: nothing it does waits longer than the configured timeout for the
// first byte of an answer to a poll, no more than the configured number of requests are
// in flight, and a request that may have started a signing is never sent twice.
package upstream
