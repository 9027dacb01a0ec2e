package simulator

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// members says how each member of a JSON object is read. Control calls are
// written by hand, so they are read strictly: a misspelt name is an error and not
// a default.
type members map[string]func(jsontext.Value) error

const maxControlBody = 64 << 10

// readMembers reads an object that has the member need and no other than m
// accepts. It reports every mistake at once.
func readMembers(r io.Reader, need string, m members) error {
	var object map[string]jsontext.Value
	if err := json.UnmarshalRead(io.LimitReader(r, maxControlBody), &object); err != nil {
		return fmt.Errorf("the body cannot be read: %w; accepted: a JSON object with %s", err, m)
	}
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(object)) {
		read, known := m[name]
		if !known {
			mistakes = append(mistakes, fmt.Errorf("%q is not a field; accepted: %s", name, m))
			continue
		}
		mistakes = append(mistakes, field(name, read(object[name])))
	}
	if _, ok := object[need]; !ok {
		mistakes = append(mistakes, fmt.Errorf("%s: it is missing", need))
	}
	return errors.Join(mistakes...)
}

func (m members) String() string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

func inText(set func(string) error) func(jsontext.Value) error {
	return func(v jsontext.Value) error {
		var text string
		if v.Kind() != '"' {
			return fmt.Errorf("%s is no text; accepted: a JSON string", v)
		}
		if err := json.Unmarshal(v, &text); err != nil {
			return err
		}
		return set(text)
	}
}

func inNumber(set func(string) error) func(jsontext.Value) error {
	return func(v jsontext.Value) error {
		if v.Kind() != '0' {
			return fmt.Errorf("%s is no number; accepted: a JSON number", v)
		}
		return set(string(v))
	}
}
