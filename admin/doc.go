// Package admin is the private listener: health, readiness and metrics.
//
// Its promise: a probe is answered whatever the upstream does, and nothing but the
// two probes is shown to anybody who is neither on this machine nor has a key.
package admin
