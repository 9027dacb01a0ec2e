//go:build !race

package plainlog_test

import (
	"io"
	"log/slog"
	"testing"

	"pollbridge/internal/plainlog"
)

func TestRecordsAllocateNothing(t *testing.T) {
	h := plainlog.New(io.Discard, slog.LevelInfo)
	if n := testing.AllocsPerRun(1000, func() { request(h) }); n >= 1 { // the text of the second is made once
		t.Errorf("a record makes %v allocations; want none", n)
	}
}
