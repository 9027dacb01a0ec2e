// Package proxy is the public listener: it answers status requests from the cache,
// holds long-polls, and streams everything else through to the upstream.
//
// Its promises: what a client gets is byte for byte what the upstream said; what the
// upstream gets is what the client meant, in one reading only; and no client, slow,
// gone or hostile, keeps another one's polls from being answered.
package proxy
