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
	m.url(key, value, false, schemes)
}

// URLWithUser is [Mistakes.URL] for what may also carry a user and a password.
func (m *Mistakes) URLWithUser(key, value string, schemes ...string) {
	m.url(key, value, true, schemes)
}

func (m *Mistakes) url(key, value string, user bool, schemes []string) {
	want := "a URL with a host and one of the schemes " + strings.Join(schemes, ", ")
	u, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || (u.Port() != "" && !isPort(u.Port(), 1)) {
		m.Want(false, key, withoutPassword(value), want)
		return
	}
	m.Want(user || u.User == nil, key, value, "a URL without user info")
	m.Want(u.RawQuery == "" && !u.ForceQuery, key, value, "a URL without query")
	m.Want(!strings.Contains(value, "#"), key, value, "a URL without fragment")
}

// withoutPassword masks what follows the host if it is no port: the password of a
// user whose host was forgotten.
func withoutPassword(value string) string {
	value = Redacted(value)
	start := 0
	if scheme := strings.Index(value, "://"); scheme >= 0 {
		start = scheme + len("://")
	}
	host, port, found := strings.Cut(value[start:], ":")
	port, _, _ = strings.Cut(port, "/")
	if !found || strings.Contains(host, "[") || isPort(port, 0) {
		return value
	}
	return value[:start] + host + ":***"
}

func isPort(text string, least int) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= least && port <= 65535
}
