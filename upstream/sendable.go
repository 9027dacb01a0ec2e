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
func checkLine[T string | []byte](method string, target T) error {
	if !httpguts.ValidHeaderFieldName(method) { // a method is a token too
		return fmt.Errorf("%w: method", ErrInvalid)
	}
	if len(target) > 0 && target[0] == '/' && isGraphic(target) {
		return nil
	}
	breaks := func(r rune) bool { return r == ' ' || unicode.IsControl(r) }
	if len(target) == 0 || target[0] != '/' || strings.ContainsFunc(string(target), breaks) {
		return fmt.Errorf("%w: target", ErrInvalid)
	}
	return nil
}

// isGraphic reports whether text is of visible ASCII characters only, as nearly all
// targets are.
func isGraphic[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// checkField allows what can be nothing but one header line.
func checkField[T string | []byte](name, value T) error {
	if !httpguts.ValidHeaderFieldName(string(name)) || !validValue(value) {
		return fmt.Errorf("%w: header field", ErrInvalid)
	}
	return nil
}

// validValue is httpguts.ValidHeaderFieldValue, which would need a copy of bytes.
func validValue[T string | []byte](value T) bool {
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
