// Package delivery brings events to subscriptions, signed and at least once.
//
// Its promises, and what keeps each of them:
//
//   - An event of the log is not lost: a follower makes items of a queue out of it, one
//     for each subscription that covers it, and an item is done only when the record of
//     its delivery says how it ended.
//   - A repeat is the same delivery, with the same webhook-id.
//   - One receiver never delays another: each has a consumer of the queue, a bound on its
//     attempts under way, and a breaker; while that is open its items stay in the engine
//     and cost nothing.
package delivery
