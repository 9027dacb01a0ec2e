package session

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
)

// readQuery reads the query: the credential if it stands there, and every further
// parameter but a token that only repeats the path's.
func (r *Request) readQuery(raw []byte) bool {
	if len(raw) == 0 {
		return true
	}
	var further []string
	var names map[string]string // by how some server might read them
	for parameter := range bytes.SplitSeq(raw, []byte("&")) {
		name, value, ok := splitParameter(parameter)
		if !ok && slices.Contains(r.endpoint.ignored, string(parameter)) {
			continue // a name without a value
		}
		if !ok {
			return false
		}
		own := r.endpoint.Credential
		switch {
		case own.In == InQuery && string(name) == own.Name:
			if len(r.credential) > 0 || len(value) == 0 {
				return false // which of two would count is the upstream's secret
			}
			r.credential = append(r.credential, value...)
		case own.In != InHeader && readsAs(name, own.Name):
			return false
		case string(name) == "token" && bytes.Equal(value, r.token):
		case slices.Contains(r.endpoint.ignored, string(name)):
		default:
			folded := strings.ToLower(strings.ToUpper(phpName.Replace(string(name))))
			if other, taken := names[folded]; taken && other != string(name) {
				return false // their order would matter, and is lost when they are sorted
			}
			if names == nil {
				names = map[string]string{}
			}
			names[folded] = string(name)
			further = append(further, encodeParameter(string(name), string(value)))
		}
	}
	slices.SortStableFunc(further, compareNames)
	r.query = append(r.query, strings.Join(further, "&")...)
	return true
}

// splitParameter decodes one parameter. What decoders disagree about is refused:
// semicolons, bad percent signs, control bytes, and a name or value that is no
// parameter at all.
func splitParameter(raw []byte) (name, value []byte, ok bool) {
	name, value, found := bytes.Cut(raw, []byte("="))
	if !found || len(name) == 0 || bytes.IndexByte(raw, ';') >= 0 {
		return nil, nil, false
	}
	if name, ok = unescape(name); !ok {
		return nil, nil, false
	}
	value, ok = unescape(value)
	return name, value, ok
}

func unescape(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '%') >= 0 || bytes.IndexByte(raw, '+') >= 0 {
		decoded, err := url.QueryUnescape(string(raw))
		if err != nil {
			return nil, false
		}
		raw = []byte(decoded)
	}
	return raw, !bytes.ContainsFunc(raw, isControl)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// phpName is how PHP changes the names of parameters.
var phpName = strings.NewReplacer(".", "_", " ", "_", "[", "_")

// readsAs reports whether some server might take name for the known one: PHP reads
// "access.token", "access[token" and "access_token[]" as access_token, others do not
// mind the case.
func readsAs(name []byte, known string) bool {
	text, known := strings.TrimLeft(string(name), " "), phpName.Replace(known)
	array, _, _ := strings.Cut(text, "[")
	return strings.EqualFold(phpName.Replace(text), known) || strings.EqualFold(phpName.Replace(array), known)
}

// withoutIgnored takes ignored fields out of an encoded query.
func (e *Endpoint) withoutIgnored(query string) string {
	parameters := strings.Split(query, "&")
	return strings.Join(slices.DeleteFunc(parameters, func(parameter string) bool {
		name, _, ok := splitParameter([]byte(parameter))
		return ok && slices.Contains(e.ignored, string(name))
	}), "&")
}

func encodeParameter(name, value string) string {
	return url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

func compareNames(a, b string) int {
	nameA, _, _ := strings.Cut(a, "=")
	nameB, _, _ := strings.Cut(b, "=")
	return strings.Compare(nameA, nameB)
}
