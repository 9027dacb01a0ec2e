// Package webhook tells subscribers what happens to sessions, signed and at least
// once.
//
// Its promises, and what keeps each of them:
//
//   - What [Service.Changed] was told is not lost: it is an entry of a journal before
//     Changed returns, and everything after that is driven by the journal. A follower
//     makes items of a queue out of it, one for each subscription that covers it, and
//     an item is done only when the record of its delivery says how it ended.
//   - A repeat is the same event: ids are derived from session and type, and each entry
//     about a session says which types came before it, so that a session has at most
//     one event of a type.
//   - One subscriber never delays another: each has a consumer of the queue, a bound on
//     its attempts under way, and a breaker; while that is open its items stay in the
//     engine and cost nothing.
//   - Nothing is reached that must not be, and no attempt takes longer than it may: see
//     [pollbridge/webhook/send].
package webhook
