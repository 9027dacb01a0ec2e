package check

import (
	"regexp"
	"strings"
)

var (
	userInfo  = regexp.MustCompile(`(?s)^(.*?//)?.*@`)
	afterPath = regexp.MustCompile(`(?s)([?#]).*`)
	// secretText begins what is a secret wherever it stands: one that signs webhooks, a
	// key of the management API, a key in PEM.
	secretText = regexp.MustCompile(`(?s)(whsec_|whsk_|pbk_|-----BEGIN ).*`)
)

// Redacted masks what may be a secret in a text: what looks like one by itself and, as
// in a URL, well-formed or not, everything between the scheme and the last @, the
// query and the fragment.
func Redacted(value string) string {
	value = userInfo.ReplaceAllString(value, "${1}***@")
	value = afterPath.ReplaceAllString(value, "$1***")
	return secretText.ReplaceAllString(value, "$1***")
}

// name matches what somebody gives to a setting or a field, of this version or of
// another: it has few digits. The elements of a list are numbered.
var name = regexp.MustCompile(`^[A-Za-z_.<-]*([0-9][A-Za-z_.<-]*){0,2}(\[[0-9]{1,4}\])*$`)

// IsName reports whether text can be the name of a setting or a field, so that it may be
// shown, rather than a secret that was put where a name belongs.
func IsName(text string) bool {
	return len(text) <= 40 && name.MatchString(text) && !secretText.MatchString(strings.ToLower(text))
}
