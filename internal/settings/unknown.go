package settings

import (
	"cmp"
	"slices"
	"strings"

	"pollbridge/internal/check"
)

// shownKey is the key of a name within a section, without a name that nobody would give
// to a setting: a secret may have been pasted there.
func shownKey(part, name string) string {
	if !check.IsName(name) {
		name = "…"
	}
	return check.Join(part, name)
}

// suggestion names the known key that was probably meant, as the end of a sentence. It
// is empty if none is close.
func suggestion(key string, known []string) string {
	if slices.Contains(known, key) {
		return "; a dot does not open a section here: write " + strings.ReplaceAll(key, ".", ": {") + ": …" +
			strings.Repeat("}", strings.Count(key, "."))
	}
	if best := cmp.Or(
		only(known, func(k string) bool { return leavesOut(key, k) }),            // a section was left out
		only(known, func(k string) bool { return lastPart(k) == lastPart(key) }), // or is another one
		check.Nearest(key, known),
	); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// only returns the known key that is the only one of its kind.
func only(known []string, kind func(string) bool) string {
	if of := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !kind(k) }); len(of) == 1 {
		return of[0]
	}
	return ""
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
