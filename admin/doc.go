// Package admin is the private listener: the management API with its description,
// health, readiness and metrics.
//
// Its promises: a probe is answered whatever the upstream does; the description of the API is
// shown to all, metrics to this machine and to those with a key, and everything else to
// those with a key only;
// what a request says is understood whole or refused, naming the field; and no answer,
// no error and no log line repeats a secret, but for the one answer that makes it.
package admin
