// Package engine runs NATS JetStream inside the process, without a network listener,
// with everything in one directory, which one process owns.
//
// It knows nothing of what is stored. It gives a connection that outlives its server:
// when that cannot write (the disk is full, the directory gone), [Engine.Usable] ends
// with the reason, and as soon as the directory can be written again the server is
// started anew. That it cannot write shows in its own health report, in a trial write
// and in what those who write report, never in the text of its log.
//
// After a stop that was not in good order the server reads all its files again, and
// what it has lost is logged.
package engine
