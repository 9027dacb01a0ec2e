// Package store is durable data over a connection to NATS JetStream, wherever that
// runs: buckets, journals, queues and bodies, each a stream.
//
// What a call reports as done was acknowledged by the server, which has it on the disk
// then (where it is told to sync always), so that it survives the death of the process.
// What is kept is encrypted, each record with a key of its own that is derived from the
// store's key and from where the record belongs, so that a record that was moved
// elsewhere cannot be read there. Names and keys of records are in clear.
//
// Where several servers keep what is stored, what decides something is read at the one that
// knows of all that was acknowledged: Get, EachNow, Create and Delete of a bucket, Get, Last, Newest
// and Bounds of a journal, what an owner has of bodies, whether an item is gone. What lists
// and counts may lag behind by a moment: List, Each, After, Count, Waiting, and what is told to
// those who watch and follow.
//
// While the server cannot write, [Store.Err] says why, and every write fails at once;
// watchers and consumers go on by themselves when it can again.
package store
