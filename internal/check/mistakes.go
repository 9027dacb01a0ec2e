package check

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mistake is one thing that an operator has to change.
type Mistake struct {
	Key     string // the setting, such as "cache.pending_ttl" or "routes[0]", relative to the package that found it; empty if it is about a whole source
	Entry   string // of a table; it is not shown, as its name may be a secret in a wrong place
	Value   string // as an operator would write it, without secrets; empty where it would reveal one or says nothing
	Problem string // what is wrong or, starting with "want", what is accepted
	Source  string // "flag --listen", "environment POLLBRIDGE_LISTEN" or "file PATH:LINE"; empty for a default, and if it is not known
}

// Error reads `KEY: "VALUE": PROBLEM (SOURCE)`, or `SOURCE: PROBLEM` without a key.
func (m Mistake) Error() string {
	text := m.Problem
	if m.Value != "" {
		text = quoted(m.Value) + ": " + text
	}
	if subject := cmp.Or(m.Key, m.Source); subject != "" {
		text = subject + ": " + text
	}
	if m.Key != "" && m.Source != "" {
		text += " (" + m.Source + ")"
	}
	return text
}

// quoted keeps a line readable, whatever somebody pasted into a setting.
func quoted(value string) string {
	const most = 100
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return fmt.Sprintf("%q", value)
}

// Mistakes collects what is wrong with a Config. The zero value is empty and
// ready to use.
type Mistakes struct {
	all []error
}

// Want records a mistake unless ok. want completes "want …".
func (m *Mistakes) Want(ok bool, key string, value any, want string) {
	if !ok {
		m.all = append(m.all, Mistake{Key: key, Value: Redacted(Text(value)), Problem: "want " + want})
	}
}

// Add records a mistake without its value, which is missing or a secret.
func (m *Mistakes) Add(key, problem string) {
	m.all = append(m.all, Mistake{Key: key, Problem: problem})
}

// AddEntry records a mistake in an entry of a table that holds secrets.
func (m *Mistakes) AddEntry(table, entry, problem string) {
	m.all = append(m.all, Mistake{Key: table, Entry: entry, Problem: problem})
}

// OneOf records a mistake unless value is one of those accepted.
func (m *Mistakes) OneOf(key, value string, accepted ...string) {
	m.Want(slices.Contains(accepted, value), key, value, "one of "+strings.Join(accepted, ", "))
}

// Within records the mistakes of err, which a part of the configuration found in
// itself; their keys get the name of that part in front.
func (m *Mistakes) Within(part string, err error) {
	for _, mistake := range All(err) {
		mistake.Key = Join(part, mistake.Key)
		m.all = append(m.all, mistake)
	}
}

// Join is the key of name within a part; either may be empty.
func Join(part, name string) string {
	if part == "" || name == "" {
		return part + name
	}
	return part + "." + name
}

// Err returns all mistakes, joined, or nil if there are none. Each of them is a
// [Mistake].
func (m *Mistakes) Err() error {
	return errors.Join(m.all...)
}

// All returns the mistakes that err joins, in their order. An error that is no
// Mistake becomes one without a key.
func All(err error) []Mistake {
	switch e := err.(type) {
	case nil:
		return nil
	case Mistake:
		return []Mistake{e}
	case interface{ Unwrap() []error }:
		var all []Mistake
		for _, each := range e.Unwrap() {
			all = append(all, All(each)...)
		}
		return all
	default:
		return []Mistake{{Problem: err.Error()}}
	}
}

// Text writes a value the way an operator does: 15m rather than 15m0s.
func Text(value any) string {
	text := fmt.Sprint(value)
	if _, ok := value.(time.Duration); ok {
		text = noZeros.ReplaceAllString(text, "$1")
	}
	return text
}

// noZeros matches the minutes and seconds at the end of a duration that are none.
var noZeros = regexp.MustCompile(`([hm])(?:0m)?0s$`)
