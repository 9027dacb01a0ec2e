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
	dst = appendForwarded(append(dst, "pollbridge"...), r)
	dst = append(dst, "; ttl="...)
	dst = strconv.AppendInt(dst, int64(math.Floor(float64(r.TTL)/float64(time.Second))), 10)
	switch {
	case r.How == cache.Stale:
		dst = append(append(dst, "; detail="...), detail(r.Err)...)
	case r.OtherVariant:
		dst = append(dst, "; detail=other-variant"...)
	}
	return dst
}

// appendErrorStatus is appendCacheStatus for a request that got no observation.
func appendErrorStatus(dst []byte, r cache.Result, err error) []byte {
	dst = appendForwarded(append(dst, "pollbridge"...), r)
	return append(append(dst, "; detail="...), detail(err)...)
}

// appendForwarded says whether the upstream was asked because of this request.
func appendForwarded(dst []byte, r cache.Result) []byte {
	switch {
	case !r.Asked:
		return append(dst, "; hit"...)
	case r.How == cache.Stale, r.Expired:
		dst = append(dst, "; fwd=stale"...)
	default:
		dst = append(dst, "; fwd=miss"...)
	}
	if r.How == cache.Collapsed {
		dst = append(dst, "; collapsed"...)
	}
	return dst
}

// detail is a token of RFC 9651: why the upstream gave no answer.
func detail(err error) string {
	if failure, ok := errors.AsType[*upstream.Failure](err); ok {
		return string(failure.Reason)
	}
	return "no_answer_yet"
}
