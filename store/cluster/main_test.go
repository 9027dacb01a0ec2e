package cluster_test

import (
	"testing"

	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Together(6)
	goleak.VerifyTestMain(m)
}
