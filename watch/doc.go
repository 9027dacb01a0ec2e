// Package watch polls sessions in the background for those who wait for news, and
// notices when their state changes. There are two ways to wait: a request that is held
// (LongPolls), which ends with its client, and a watch (Watcher), which ends with the
// session and survives the process.
//
// Its promise: however many wait for one session, it is refreshed as the schedule says,
// and by the same observation that clients' own polls are answered with; nobody
// polls for a session that nobody waits for. Each change of state that is seen, by
// whomever, is durable before anybody is answered with it, and an event a moment later;
// should the store be in trouble, it becomes one as soon as that is over.
//
// When sessions are polled says Schedule, which learns when they end (package hazard).
//
// What can happen to a watch, and what it does, is one table, in state.go. A watch ends
// with a final state, when the upstream has not known the session for longer than
// Config.NotFoundAfter, or at Config.Deadline, which counts from the first sight, restarts
// or not. The time for which a session was not found counts anew after a restart.
package watch
