// Package webhook keeps who wants to be told of what happens to sessions: subscriptions, and
// those that are attached to one session and end with it.
//
// Its promises, and what keeps each of them:
//
//   - What a subscription is told of is decided once, from an event of the log, by its form
//     of that moment. How it gets there, at least once, is for
//     [pollbridge/webhook/delivery].
//   - What was acknowledged is durable: a subscription is written, with compare-and-set,
//     before it is shown.
//   - A subscription whose receiver fails for days is disabled after a warning; it keeps
//     what it misses, to be recovered.
//   - Nothing is reached that must not be, and no attempt takes longer than it may: see
//     [pollbridge/webhook/send].
package webhook
