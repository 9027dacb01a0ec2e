package proxy

import (
	"errors"
	"math"
	"strconv"
	"time"

	"pollbridge/cache"
	"pollbridge/upstream"
)

// appendCacheStatus says in the words of RFC 9211 where an answer came from.
func appendCacheStatus(dst []byte, r cache.Result) []byte {
	dst = append(dst, "pollbridge"...)
	switch {
	case r.How == cache.Hit:
		dst = append(dst, "; hit"...)
	case r.How == cache.Stale && !asked(r.Err):
		dst = append(dst, "; hit"...)
	case r.How == cache.Stale, r.Expired:
		dst = append(dst, "; fwd=stale"...)
	default:
		dst = append(dst, "; fwd=miss"...)
	}
	if r.How == cache.Collapsed {
		dst = append(dst, "; collapsed"...)
	}
	dst = append(dst, "; ttl="...)
	dst = strconv.AppendInt(dst, int64(math.Floor(float64(r.TTL)/float64(time.Second))), 10)
	if r.How == cache.Stale {
		dst = append(dst, "; detail="...)
		dst = append(dst, detail(r.Err)...)
	}
	return dst
}

func asked(err error) bool {
	failure, ok := errors.AsType[*upstream.Failure](err)
	return !ok || !failure.NotSent()
}

// detail is a token of RFC 9651: why a stale answer was given.
func detail(err error) string {
	if failure, ok := errors.AsType[*upstream.Failure](err); ok {
		return string(failure.Reason)
	}
	return "no_answer_yet"
}
