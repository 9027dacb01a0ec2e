package proxy

import (
	"errors"
	"io"
	"testing"

	"pollbridge/cache"
)

// TestPublicErrors: what clients, and the log, are told of errors.
func TestPublicErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"no answer yet, and none to fall back on":  {&statusError{cache.Result{}, errors.New("not yet")}, 503},
		"an answer that broke off":                 {brokenAnswer(io.ErrUnexpectedEOF), 502},
		"a client that left while its answer came": {brokenAnswer(errClientGone), 499},
		"a client whose upload ended its answer":   {brokenAnswer(errSlowBody), 408},
		"what nobody knows":                        {errors.New("unknown"), 500},
	} {
		if got := public(test.err); got.status != test.want || got.status == 503 && got.retry == 0 {
			t.Errorf("%s: %d, retry after %s; want %d", name, got.status, got.retry, test.want)
		}
	}
}
