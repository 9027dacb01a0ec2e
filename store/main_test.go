package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
)

// childDir is the variable that makes the test program a process that writes until it
// is killed, or, with childServer, one that takes items.
const childDir = "POLLBRIDGE_STORE_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if address := os.Getenv(childServer); address != "" {
			holdItems(dir, address)
		}
		writeUntilKilled(dir, os.Getenv(childRound))
		return
	}
	testkit.Together(4)
	goleak.VerifyTestMain(m)
}
