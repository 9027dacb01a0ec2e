package proxy_test

import (
	"io"
	"log"
	"os"
	"testing"

	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

func TestMain(m *testing.M) {
	testkit.Together(6)
	log.SetOutput(io.Discard) // net/http's words about upstreams that misbehave here
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			// These sleep for a while before they see that there is nothing left to do.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// token is that of the session that most tests ask about.
const token = "tok1tok2tok3" + bridge.TokenMark
