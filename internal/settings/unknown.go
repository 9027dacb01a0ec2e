package settings

import (
	"regexp"
	"slices"
	"strings"

	"pollbridge/internal/check"
)

// plausible is the name of a setting, of this version or of another: it has few digits.
var plausible = regexp.MustCompile(`^[A-Za-z_.<-]*([0-9][A-Za-z_.<-]*){0,2}$`)

// looksLikeName tells whether a name can be shown: a secret may have been pasted where
// a name belongs.
func looksLikeName(name string) bool {
	return len(name) <= 60 && plausible.MatchString(name) && check.Redacted(name) == name
}

// unknown reports a name within a section that no setting has.
func (r *Reading) unknown(part, name, source string, known []string) {
	if key := check.Join(part, name); looksLikeName(name) {
		r.add(key, "", source, "unknown setting"+suggestion(key, known))
	} else {
		r.add(part, "", source, "unknown setting, whose name is not shown as it could be a secret")
	}
}

// suggestion names the known key that was probably meant, as the end of a sentence. It
// is empty if none is close.
func suggestion(key string, known []string) string {
	if slices.Contains(known, key) {
		return "; a dot does not open a section here: write " + strings.ReplaceAll(key, ".", ": {") + ": …" +
			strings.Repeat("}", strings.Count(key, "."))
	}
	best := only(known, func(k string) bool { return leavesOut(key, k) }) // a section was left out
	if best == "" {                                                       // the section was mistaken
		best = only(known, func(k string) bool { return lastPart(k) == lastPart(key) })
	}
	if best == "" {
		best = check.Nearest(key, known)
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// only returns the known key that is the only one of its kind.
func only(known []string, kind func(string) bool) (found string) {
	for _, k := range known {
		if !kind(k) {
			continue
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

// leavesOut tells whether key is made of words of known, in their order and with its
// last one.
func leavesOut(key, known string) bool {
	left, all := words(key), words(known)
	if len(left) == 0 || left[len(left)-1] != all[len(all)-1] {
		return false
	}
	for _, word := range all {
		if len(left) > 0 && left[0] == word {
			left = left[1:]
		}
	}
	return len(left) == 0
}

func words(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '_' })
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
