package proxy

import (
	"bytes"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// maxWait is the longest time for which a request is held: many proxies and clients give
// up after 60 seconds.
const maxWait = 55 * time.Second

const headerPrefer = "Prefer"

// waitPreference reads "Prefer: wait=N" (RFC 7240). A longer wait than maxWait is
// cut to it; what is no number of seconds is ignored, as every preference that a
// server does not understand; of several the first counts.
func waitPreference(header *fasthttp.RequestHeader) time.Duration {
	for _, line := range header.PeekAll(headerPrefer) {
		for preference := range splitUnquoted(line, ',') {
			for parameter := range splitUnquoted(preference, ';') {
				name, value, _ := bytes.Cut(parameter, []byte("="))
				if bytes.EqualFold(bytes.TrimSpace(name), []byte("wait")) {
					return seconds(bytes.Trim(bytes.TrimSpace(value), `"`))
				}
				break // what follows are parameters of the preference
			}
		}
	}
	return 0
}

func seconds(digits []byte) time.Duration {
	n, err := strconv.ParseUint(string(digits), 10, 31)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return maxWait
	case err != nil:
		return 0
	}
	return min(maxWait, time.Duration(n)*time.Second)
}

// splitUnquoted splits text at a separator, except in quoted strings.
func splitUnquoted(text []byte, separator byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		quoted, start := false, 0
		for i := 0; i < len(text); i++ {
			switch {
			case quoted && text[i] == '\\':
				i++
			case text[i] == '"':
				quoted = !quoted
			case !quoted && text[i] == separator:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}
