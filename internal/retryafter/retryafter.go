// Package retryafter reads the field Retry-After of an answer (RFC 9110 §10.2.3).
package retryafter

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Most is the longest wait that is believed.
const Most = 24 * time.Hour

// Read returns for how long a value says to wait, [Most] at most: seconds, of which any number may
// come, or a date, which is compared with now. 0 where it says neither.
func Read(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	seconds, err := strconv.ParseUint(value, 10, 64)
	switch {
	case err == nil:
		return time.Duration(min(seconds, uint64(Most/time.Second))) * time.Second
	case errors.Is(err, strconv.ErrRange):
		return Most
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), Most)
}
