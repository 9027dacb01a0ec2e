package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDemoSummary(t *testing.T) {
	failed := demoAfter()
	failed.Errors, failed.FirstError, failed.ErrorsInOutage = 1, "HTTP 503 Service Unavailable", 1
	for _, test := range []struct {
		name    string
		figures demoFigures
		want    string
	}{
		{"to the end", demoAfter(), `
asked   12,873 polls by 50 clients about 44 signings in 30.0 s
sent    3,311 polls to the upstream: 74 % saved
errors  0 seen by clients
outage  6.0 s without upstream: 267 polls of clients, 0 errors among them
        74 calls of the bridge, all failed; new answers 2.5 s after its end
delay   0.73 s (median), 1.54 s (worst) from a signing's end to the first client
        18 signings held up by the outage: told within 2.98 s of its end
pushed  48 webhooks, signed; 0.61 s (median), 1.40 s (worst) after the end
go on   pollbridge serve --upstream URL   (where your signing API answers)
`},
		{"with an error", failed, `
asked   12,873 polls by 50 clients about 44 signings in 30.0 s
sent    3,311 polls to the upstream: 74 % saved
errors  1 seen by clients; the first: HTTP 503 Service Unavailable
outage  6.0 s without upstream: 267 polls of clients, 1 error among them
        74 calls of the bridge, all failed; new answers 2.5 s after its end
delay   0.73 s (median), 1.54 s (worst) from a signing's end to the first client
        18 signings held up by the outage: told within 2.98 s of its end
pushed  48 webhooks, signed; 0.61 s (median), 1.40 s (worst) after the end
go on   pollbridge serve --upstream URL   (where your signing API answers)
`},
		{"ended before anything happened", demoFigures{Clients: 1, Length: 30 * time.Second}, `
asked   0 polls by 1 client about 0 signings in 0.0 s
sent    0 polls to the upstream: – saved
errors  0 seen by clients
go on   pollbridge serve --upstream URL   (where your signing API answers)
`},
	} {
		got := demoSummary(test.figures)
		if "\n"+got != test.want {
			t.Errorf("%s: the summary is\n%s\nwant%s", test.name, got, test.want)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(line); n > 81 {
				t.Errorf("%s: a line has %d characters, want at most 80: %q", test.name, n-1, line)
			}
		}
	}
}
