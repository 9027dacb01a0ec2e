// Package testkit is what tests of several packages share: how they wait, and an
// upstream, a webhook receiver, certificates and a log that they can look into. What
// needs the packages of the front is in testkit/bridge, so that the tests within those
// packages can use this one. No program imports it.
package testkit

import "testing"

// NoError ends the test if there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
