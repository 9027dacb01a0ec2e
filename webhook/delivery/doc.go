// Package delivery brings events to subscriptions, signed and at least once.
//
// Its promises, and what keeps each of them:
//
//   - An event of the log is not lost: the log hands it out until each of its deliveries is
//     safe, which is when the record of the delivery says how it went, or an item of the
//     durable queue is there. An item is done only when the record says how it ended.
//   - A repeat is the same delivery, with the same webhook-id.
//   - One receiver never delays another: each has a consumer with a line of its own, a bound
//     on its attempts under way, and a breaker. What has waited for three seconds goes to the queue
//     and costs no memory.
//   - What a process had that is gone goes on at another one, and may come twice then.
//   - What waits is listed and counted, and what did not arrive is dead: nothing vanishes
//     with its subscription, or with its event.
package delivery
