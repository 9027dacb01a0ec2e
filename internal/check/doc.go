// Package check collects the mistakes of a configuration, so that each package
// can judge its own settings and an operator still reads all of them at once.
//
// Every mistake names the key, the value that stands there and what is accepted
// instead. A value that may be a secret never gets into a mistake: callers leave
// it out with [Mistakes.Add], and of any other value [Redacted] masks what may be
// one.
//
// The package is a leaf: it knows nothing of pollbridge.
package check
