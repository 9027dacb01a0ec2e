// Package send makes attempts to deliver webhooks: it signs a message, connects to no
// address that it must not reach, and tells how the receiver answered. It knows nothing of
// what a message is about, and does not repeat an attempt.
//
// Its promises, and what keeps each of them:
//
//   - An attempt ends after Config.Timeout, whatever the receiver does: all that is waited
//     for, from the name server to the body of the answer, is waited for until then.
//   - A complete head with 2xx is success, whatever becomes of the body: 4 KiB of it are
//     read, for a second at most. A status below 200 is a failure at once, but for 100, 102
//     and 103.
//   - Nothing is reached that must not be: each address is checked when it is dialled.
//     There is no proxy, and redirects are not followed.
//   - What a receiver may have read is not sent twice in one attempt. Only where nothing has
//     left on a connection that had been idle, another one is tried.
package send
