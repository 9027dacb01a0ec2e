package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one setting that cannot be used.
type Mistake struct {
	Key     string // relative to the package that found it, such as "cluster.listen" or "routes[0]"
	Value   string // as an operator would write it; empty where it would reveal a secret or says nothing
	Problem string // what is wrong or, starting with "want", what is accepted
}

// Error reads `KEY: "VALUE": PROBLEM`.
func (m Mistake) Error() string {
	if m.Value == "" {
		return fmt.Sprintf("%s: %s", m.Key, m.Problem)
	}
	return fmt.Sprintf("%s: %s: %s", m.Key, quoted(m.Value), m.Problem)
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
		m.add(Mistake{Key: key, Value: Text(value), Problem: "want " + want})
	}
}

// Add records a mistake without its value, which is missing or a secret.
func (m *Mistakes) Add(key, problem string) {
	m.add(Mistake{Key: key, Problem: problem})
}

// OneOf records a mistake unless value is one of those accepted.
func (m *Mistakes) OneOf(key, value string, accepted ...string) {
	m.Want(slices.Contains(accepted, value), key, value, "one of "+strings.Join(accepted, ", "))
}

// Err returns all mistakes, joined, or nil if there are none. Each of them is a
// [Mistake].
func (m *Mistakes) Err() error {
	return errors.Join(m.all...)
}

func (m *Mistakes) add(mistake Mistake) {
	m.all = append(m.all, mistake)
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
