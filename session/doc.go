// Package session is the vocabulary of pollbridge: endpoints, sessions, the
// variants in which a session can be asked for, and what an answer of the
// upstream says about it. It reads requests and answers strictly and does no
// I/O, so everything in it can be fuzzed and nothing in it can block.
//
// The promise it keeps for the rest of the program: two requests get the same
// [Variant] key only if they carry the same credential, ask for the same token
// and mean the same thing to the upstream. Whatever could be read in two ways is
// not a status request at all, and passes through uncached.
package session
