// Package transfer writes everything stored into a file, and puts it into another store: from a
// single node to a fleet, back, or as a backup.
//
// The file holds what is stored as it is stored: values encrypted, keys of records in clear. It
// begins with a line that says its format. Frames follow, each with a checksum of all that comes
// before it, so that damage, a part that is missing and an early end are noticed.
//
// A store that is in use is read from effects to causes (see streams): what is missing of an effect
// that came meanwhile is done again, as after a crash, and no effect is there without its cause.
package transfer
