package check

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Listen records a mistake unless value is an address to listen on: a host,
// which may be a name or missing, and the number of a port. Port 0 means any
// free one.
func (m *Mistakes) Listen(key, value string) {
	host, port, err := net.SplitHostPort(value)
	ok := err == nil && isPort(port, 0) && !strings.ContainsAny(host, " /@")
	m.Want(ok, key, value, "HOST:PORT such as 127.0.0.1:8080, or :8080 for every address of the machine")
}

// URL records a mistake unless value is an absolute URL with one of the schemes
// and a host, without user info, query and fragment. A path is accepted.
func (m *Mistakes) URL(key, value string, schemes ...string) {
	m.url(key, value, "", schemes)
}

// URLWithUser is [Mistakes.URL] for what may also carry a user and a password.
func (m *Mistakes) URLWithUser(key, value string, schemes ...string) {
	m.url(key, value, "user info", schemes)
}

func (m *Mistakes) url(key, value, accepted string, schemes []string) {
	want := strings.Join(schemes, ":// or ") + "://HOST[:PORT]"
	u, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || (u.Port() != "" && !isPort(u.Port(), 1)) {
		m.Want(false, key, Redacted(value), want)
		return
	}
	parts := []struct {
		name  string
		there bool
	}{
		{"user info", u.User != nil},
		{"query", u.RawQuery != "" || u.ForceQuery},
		{"fragment", strings.Contains(value, "#")},
	}
	for _, part := range parts {
		m.Want(!part.there || part.name == accepted, key, Redacted(value), want+" without "+part.name)
	}
}

// Redacted masks what may be a secret in a URL, well-formed or not: everything
// in front of the last @, and the query.
func Redacted(value string) string {
	address, _, hasQuery := strings.Cut(value, "?")
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		start := 0
		if slashes := strings.Index(address[:at], "//"); slashes >= 0 {
			start = slashes + len("//")
		}
		address = address[:start] + "***" + address[at:]
	}
	if hasQuery {
		address += "?***"
	}
	return address
}

func isPort(text string, least int) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= least && port <= 65535
}
