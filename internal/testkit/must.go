package testkit

import (
	"context"
	"testing"
)

// Within returns a context that ends after Timeout, or when the test is cleaned up.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	t.Cleanup(cancel)
	return ctx
}

// Must takes what a call returns, and returns what gives the value, or ends the test where there is an error.
func Must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		NoError(t, err)
		return value
	}
}
