package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpguts"
)

// ErrInvalid is the error of requests that cannot be sent as they stand.
var ErrInvalid = errors.New("upstream: the request cannot be sent as it stands")

// checkSendable finds what the transport would refuse to write, before that looks
// like a failure of the upstream. origin is what stands before the target for a proxy.
func checkSendable(request *http.Request, origin string) error {
	if !httpguts.ValidHeaderFieldName(request.Method) { // a method is a token too
		return fmt.Errorf("%w: method", ErrInvalid)
	}
	target := strings.TrimPrefix(request.URL.RequestURI(), origin)
	breaks := func(r rune) bool { return r == ' ' || unicode.IsControl(r) }
	if !strings.HasPrefix(target, "/") || strings.ContainsFunc(target, breaks) {
		return fmt.Errorf("%w: target", ErrInvalid)
	}
	for name, values := range request.Header {
		for _, value := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("%w: header field", ErrInvalid)
			}
		}
	}
	return nil
}
