// Package event is what has happened, and the log that keeps it: types, subjects, payloads,
// ids and their order. The log is the one thing that has to be durable before anybody is
// told: whoever delivers events, or shows them, reads it.
//
// Its promise: of each change of state of a session there is one event, with an id that is
// the same after a crash and in every process, and none follows a final one.
package event
