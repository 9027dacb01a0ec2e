package store_test

import (
	"strings"
	"testing"

	"pollbridge/store"
)

func TestIsID(t *testing.T) {
	for text, want := range map[string]bool{
		"ses_abc": true, "a-B_9": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a.b": false, "a=": false, "*": false, "a>b": false, "ą": false, "a\n": false, " a": false,
	} {
		if got := store.IsID(text); got != want {
			t.Errorf("IsID(%q) = %v; want %v", text, got, want)
		}
	}
}
