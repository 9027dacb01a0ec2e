package config

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"pollbridge/internal/check"
)

// Error is everything that is wrong with a configuration.
type Error struct {
	Mistakes []Mistake // at least one
}

// Mistake is one thing that an operator has to change.
type Mistake struct {
	Key     string // the setting, such as "cache.pending_ttl"; empty if it is about a whole source
	Value   string // what was written; empty where it would reveal a secret or says nothing
	Source  string // "flag --listen", "environment POLLBRIDGE_LISTEN" or "file PATH:LINE"; empty for a default
	Problem string
}

// Error is one line for each mistake.
func (e *Error) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// String reads `KEY: "VALUE": PROBLEM (SOURCE)`, or `SOURCE: PROBLEM` without a
// key.
func (m Mistake) String() string {
	text := check.Mistake{Key: cmp.Or(m.Key, m.Source), Value: m.Value, Problem: m.Problem}.Error()
	if m.Key != "" && m.Source != "" {
		text += " (" + m.Source + ")"
	}
	return text
}

func (e *Error) add(mistakes ...Mistake) {
	e.Mistakes = append(e.Mistakes, mistakes...)
}

// addNew adds the mistakes of err, but not what merely follows from one that is
// known: a value that could not be read leaves something else in its place.
func (e *Error) addNew(err error) {
	found, _ := errors.AsType[*Error](err)
	if found == nil {
		return
	}
	known := slices.Clone(e.Mistakes)
	for _, m := range found.Mistakes {
		follows := func(from Mistake) bool { return within(m.Key, from.Key) || within(from.Key, m.Key) }
		if !slices.ContainsFunc(known, follows) {
			e.add(m)
		}
	}
}

// orNil keeps an empty *Error from becoming an error that is not nil.
func (e *Error) orNil() error {
	if len(e.Mistakes) == 0 {
		return nil
	}
	return e
}
