package upstream

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpguts"
)

// ErrInvalid is the error of requests that cannot be sent as they stand.
var ErrInvalid = errors.New("upstream: the request cannot be sent as it stands")

// checkLine allows what can be nothing but one request line.
func checkLine(method, target string) error {
	if !httpguts.ValidHeaderFieldName(method) { // a method is a token too
		return fmt.Errorf("%w: method", ErrInvalid)
	}
	breaks := func(r rune) bool { return r == ' ' || unicode.IsControl(r) }
	if !strings.HasPrefix(target, "/") || strings.ContainsFunc(target, breaks) {
		return fmt.Errorf("%w: target", ErrInvalid)
	}
	return nil
}

// checkField allows what can be nothing but one header line.
func checkField(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("%w: header field", ErrInvalid)
	}
	return nil
}
