package proxy

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// maxWait is the longest time for which a request is held.
const maxWait = 60 * time.Second

const headerPrefer = "Prefer"

// waitPreference reads "Prefer: wait=N" (RFC 7240). A longer wait than maxWait is
// cut to it; what is no number of seconds is ignored, as every preference that a
// server does not understand; of several the first counts.
func waitPreference(header *fasthttp.RequestHeader) time.Duration {
	for _, line := range header.PeekAll(headerPrefer) {
		for preference := range bytes.SplitSeq(line, []byte(",")) {
			preference, _, _ = bytes.Cut(preference, []byte(";"))
			name, value, _ := bytes.Cut(preference, []byte("="))
			if !bytes.EqualFold(bytes.TrimSpace(name), []byte("wait")) {
				continue
			}
			seconds, err := strconv.ParseUint(string(bytes.Trim(bytes.TrimSpace(value), `"`)), 10, 31)
			if err != nil {
				return 0
			}
			return min(maxWait, time.Duration(seconds)*time.Second)
		}
	}
	return 0
}
