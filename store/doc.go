// Package store is the durable engine: tables, journals, queues and final answers,
// each a stream of NATS JetStream, which runs inside the process without a network
// listener.
//
// What a call reports as done is on the disk (with [SyncAlways]) and survives the
// death of the process. What is kept is encrypted, each record with a key of its own
// that is derived from the store's key and from where the record belongs, so that a
// record that was moved elsewhere cannot be read there. Names and keys of records are
// in clear.
//
// One process owns a data directory. When the engine cannot write, [Store.Err] says
// why, every write fails at once, and the engine is started anew as soon as the
// directory can be written again: watchers and takers go on by themselves.
package store
