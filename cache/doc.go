// Package cache remembers what the upstream answered, so that any number of
// clients who ask the same cost it one request per freshness window.
//
// Its promises, and what keeps each of them:
//
//   - At most one request per question is in flight, and at most one is made per
//     window: a question has one slot, and a slot has one flight. The slot stays
//     until its answer is seen in ristretto, which may drop or delay what it is
//     given.
//   - Final is for good: what is known about a question only changes under its
//     slot's lock, by [record.with], which keeps a final observation against
//     everything that comes later, and Finals keeps it when ristretto forgets.
//   - Nobody gets somebody else's answer: a hit compares the whole question, not
//     only its hash.
package cache
