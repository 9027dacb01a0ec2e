// Package watch polls sessions in the background for those who wait for news, and
// notices when their state changes.
//
// Its promise: however many wait for one session, it is refreshed once an interval,
// and by the same observation that clients' own polls are answered with; nobody
// polls for a session that nobody waits for.
package watch
