package session

import (
	"strings"
)

// AnswerFormat says how to read an endpoint's answers.
type AnswerFormat struct {
	Status, Code, Message      pointer
	Pending, Succeeded, Failed []string // values of the status
	// FailedState is the state of an answer whose status is one of Failed and
	// whose code nobody has documented.
	FailedState State
}

// pointer is a parsed JSON Pointer (RFC 6901) through objects: the names on the
// way to a member.
type pointer []string

// parsePointer reads s; empty means whatever otherwise says.
func parsePointer(s string, otherwise pointer) (p pointer, ok bool) {
	if s == "" {
		return otherwise, true
	}
	if rest := strings.NewReplacer("~0", "", "~1", "").Replace(s); !strings.HasPrefix(s, "/") || s == "/" || strings.Contains(rest, "~") {
		return otherwise, false
	}
	names := strings.Split(s[1:], "/")
	for i, name := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return names, true
}
