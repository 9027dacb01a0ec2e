package testkit

import (
	"testing"
	"time"
)

// Timeout is how long a test waits for what should come at once, on however busy a
// machine.
const Timeout = time.Minute

// Eventually waits until a condition holds, and ends the test if it does not come to.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !within(Timeout, holds) {
		t.Fatalf("not within %v: %s", Timeout, what)
	}
}

func within(timeout time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(timeout); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Receive waits for a value, and ends the test if none comes.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(Timeout):
		t.Fatalf("not within %v: %s", Timeout, what)
		panic("not reached")
	}
}
