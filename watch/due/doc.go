// Package due says which session is polled next. Whoever is not due waits until that. Where more are
// due than the upstream takes polls, whoever's poll is worth the most goes first.
//
// Nobody waits for longer than a bound: those who have waited the longest go before all others as
// soon as some would else exceed it. It holds as long as the upstream takes two polls of each
// session within the bound, however they fall together. It does no I/O and reads no clock.
package due
