package send

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const mostURL = 2048

// CheckURL returns a URL that webhooks may go to as far as it alone tells. The error is
// about the URL, for whoever gave it ("must be https …"), and repeats none of it. What the
// host's name means is checked when it is dialled.
func (s *Sender) CheckURL(raw string) (*url.URL, error) {
	wrong := func(problem string) (*url.URL, error) { return nil, errors.New(problem) }
	if len(raw) > mostURL {
		return wrong("must be at most " + strconv.Itoa(mostURL) + " bytes")
	}
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }) {
		return wrong("must be visible ASCII without spaces and backslashes; write international host names as xn--…")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return wrong("must be a URL such as https://example.com/webhooks")
	case u.Scheme == "http" && !s.cfg.AllowHTTP:
		return wrong("must be https (http needs webhook.allow_http)")
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("must have the scheme https")
	case u.User != nil:
		return wrong("must not have user info: put credentials into headers")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return wrong("must not have a fragment")
	case u.Opaque != "" || u.Hostname() == "":
		return wrong("must have a host")
	}
	if err := s.guard.port(portOf(u)); err != nil || strings.HasSuffix(u.Host, ":") {
		return wrong("must have one of the ports " + strings.Trim(fmt.Sprint(s.cfg.AllowPorts), "[]") + " (webhook.allow_ports)")
	}
	if problem := s.checkHost(u); problem != "" {
		return wrong(problem)
	}
	return u, nil
}

func portOf(u *url.URL) int {
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	port, _ := strconv.Atoi(cmp.Or(u.Port(), usual)) // too large ones are none that is allowed
	return port
}

const (
	notAName    = "must have a host name of letters, digits, dots and hyphens, or an IP address in its usual form"
	notAnywhere = "must not have this address: it is not public and not in webhook.allow_networks"
)

func (s *Sender) checkHost(u *url.URL) (problem string) {
	host := strings.TrimSuffix(u.Hostname(), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		if strings.HasPrefix(u.Host, "[") == addr.Is4() { // [127.0.0.1], or IPv6 without brackets
			return notAName
		}
		if s.guard.address(addr) != nil {
			return notAnywhere
		}
		return ""
	}
	if strings.HasPrefix(u.Host, "[") || !isName(host) {
		return notAName
	}
	if lower := strings.ToLower(host); lower == "localhost" || strings.HasSuffix(lower, ".localhost") {
		if !s.guard.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) && !s.guard.allows(netip.IPv6Loopback()) {
			return notAnywhere
		}
	}
	return ""
}

var (
	hostName = regexp.MustCompile(`^(` + label + `\.)*` + label + `$`)
	// endsInNumber: as in the URL Standard, what ends in a number is no name. Some resolvers
	// read 127.1, 2130706433, 0x7f000001 and 0177.0.0.1 as an address.
	endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

const label = `[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?`

// isName reports whether host is a name that no resolver takes for an address.
func isName(host string) bool {
	host = strings.ToLower(host)
	return len(host) <= 253 && hostName.MatchString(host) && !endsInNumber.MatchString(host)
}

// Host is the host of a URL that was checked, in the form in which configuration names it:
// in lower case, without port.
func Host(u *url.URL) string {
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// HostOf is Host of a URL that was stored, or empty if that is none.
func HostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return Host(u)
}
