// Package door has the upstream asked about a session by one replica of a fleet only, the one
// that looks after it. The others ask that one: for their caches it is the upstream. What they
// are told is as old as it is there, by whatever clock, so a window is the same for all.
//
// A replica that is cut off from the others asks the upstream itself. What it learns so it tells
// the one that looks after the session, once it can.
package door
