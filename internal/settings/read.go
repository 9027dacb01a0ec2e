package settings

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"pollbridge/internal/check"
)

// Sources are where the settings come from. The zero value has none, so that
// everything stays as it was.
type Sources struct {
	// File is the path of a YAML file. Empty: none is read.
	File string
	// Env holds variables as NAME=VALUE, like os.Environ. Those whose name does not
	// start with [Prefix] are nobody's business here.
	Env []string
	// Flags are those that were given.
	Flags []Flag
}

// Flag is a flag of the command line that sets something. A list or a table is
// written as in a variable.
type Flag struct {
	Name  string // such as "--data-dir"
	Key   string // of the setting, such as "store.dir"
	Value string
}

// Reading is what the sources said. The zero value is that of no sources.
type Reading struct {
	leaves   []field
	origins  map[string]string // by the key of a setting, a section or an element
	mistakes []check.Mistake
	blind    bool // nothing can be said about what the file sets

	at func(*yaml.Node) string // the source of what is being read
}

// Read sets the struct that target points to as the sources say. What is wrong with
// them is told by [Reading.Err].
func Read(target any, from Sources) *Reading {
	r := &Reading{leaves: root(target).leaves(), origins: map[string]string{}}
	if from.File != "" {
		r.file(from.File, root(target))
	}
	r.environment(from.Env)
	for _, flag := range from.Flags {
		r.line(flag.Value, r.leafOf(flag.Key), "flag "+flag.Name)
	}
	return r
}

// Err returns everything that is wrong: with the sources, and what err, as from a
// Validate, says of the struct that was set. It joins mistakes of package check; none
// quotes a value that may be a secret. It is nil if nothing is wrong.
func (r *Reading) Err(err error) error {
	var all check.Mistakes
	for _, m := range r.mistakes {
		all.Within("", m)
	}
	for _, m := range check.All(err) {
		follows := slices.ContainsFunc(r.mistakes, func(known check.Mistake) bool { return follows(m, known) })
		if !follows && !r.blind { // or else "is not set" would be said of what may well be in the file
			all.Within("", r.located(m))
		}
	}
	return all.Err()
}

// follows tells whether a mistake is merely the consequence of a known one: a value
// that could not be read leaves something else in its place.
func follows(m, known check.Mistake) bool {
	return within(m.Key, known.Key) || within(known.Key, m.Key)
}

// Set tells that key, an element of a list included, was set by a source of the
// caller's.
func (r *Reading) Set(key, source string) {
	leaf := r.leafOf(key).key
	if r.origins[leaf] == "" {
		r.origins[leaf] = source
	}
	r.origins[key] = source
}

// origin returns the source of a key, or of what it lies in. It is empty for a default.
func (r *Reading) origin(key string) string {
	for key != "" {
		if source, found := r.origins[key]; found {
			return source
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return ""
}

// located is m with its source, the form of one that has only a line for a list or a
// table, and without what may be a secret.
func (r *Reading) located(m check.Mistake) check.Mistake {
	if m.Source == "" {
		m.Source = r.origin(check.Join(m.Key, m.Entry))
	}
	leaf := r.leafOf(m.Key)
	if leaf.secret != "" {
		m.Value = ""
	}
	if leaf.secret == "true" && !strings.HasPrefix(m.Key[len(leaf.key):], "[") {
		m.Key = leaf.key // the rest is what somebody wrote
	}
	if strings.HasPrefix(m.Source, "flag ") || strings.HasPrefix(m.Source, "environment "+variable(leaf.key)) && leaf.key != "" {
		m.Problem += form(leaf.value.Type())
	}
	return m
}

// add records a mistake in what a source says of key.
func (r *Reading) add(key, value, source, problem string) {
	m := check.Mistake{Key: key, Value: check.Redacted(value), Source: source, Problem: problem}
	r.mistakes = append(r.mistakes, r.located(m))
}

// leafOf returns the setting that key is or lies in.
func (r *Reading) leafOf(key string) field {
	for _, leaf := range r.leaves {
		if within(key, leaf.key) {
			return leaf
		}
	}
	return field{}
}

// within tells whether key is outer, or a part of it.
func within(key, outer string) bool {
	rest, found := strings.CutPrefix(key, outer)
	return found && outer != "" && (rest == "" || rest[0] == '[' || rest[0] == '.')
}
