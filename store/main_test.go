package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childDir is the variable that makes the test program a process that writes until it
// is killed.
const childDir = "POLLBRIDGE_STORE_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeUntilKilled(dir, os.Getenv(childRound))
		return
	}
	goleak.VerifyTestMain(m)
}
