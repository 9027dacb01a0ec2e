package upstream

import (
	"testing"

	"golang.org/x/net/http/httpguts"
)

func TestValidValue(t *testing.T) {
	for b := range 256 {
		value := []byte{'a', byte(b), 'z'}
		if got, want := validValue(value), httpguts.ValidHeaderFieldValue(string(value)); got != want {
			t.Errorf("validValue(%q) = %v; want %v", value, got, want)
		}
	}
}

// TestCheckLine: visible characters are told by a look at their bytes, others one by
// one.
func TestCheckLine(t *testing.T) {
	for target, want := range map[string]bool{
		"/":         true,
		"/a?b=%20":  true,
		"/ü":        true,
		"":          false,
		"a":         false,
		"/a b":      false,
		"/ü b":      false,
		"/\t":       false,
		"/\x7f":     false,
		"/a\r\nb":   false,
		"/ü\u0085b": false,
	} {
		if err := checkLine("GET", target); (err == nil) != want {
			t.Errorf("checkLine(%q) = %v; want that to be fine: %v", target, err, want)
		}
	}
}
