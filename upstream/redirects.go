package upstream

import (
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"pollbridge/session"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

// redirects tells operators that the upstream sends status requests elsewhere, which no
// poll follows: at the first of an endpoint and at each change, not at each poll. Where
// some sessions are redirected and others are not, each answer is a change.
type redirects struct {
	log *slog.Logger

	mu     sync.Mutex
	latest map[string]string // where an endpoint points, as far as it was told; guarded by mu
	lines  *rate.Limiter
}

func newRedirects(log *slog.Logger) *redirects {
	return &redirects{log: log, latest: map[string]string{}, lines: rate.NewLimiter(rate.Every(time.Minute), 5)}
}

// answered tells of an answer to v, and where it points; that is empty if it is an
// observation.
func (r *redirects) answered(v *session.Variant, status int, location string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if location == r.latest[v.Endpoint.Name] {
		return
	}
	if location != "" {
		if !r.lines.Allow() {
			return
		}
		r.log.Warn("upstream redirects status requests", "endpoint", v.Endpoint.Name, "status", status, "location", location)
	} else {
		r.log.Info("upstream no longer redirects status requests", "endpoint", v.Endpoint.Name)
	}
	r.latest[v.Endpoint.Name] = location
}

// unshown is a segment of a path that may be a secret, as it is long or holds a parameter.
var unshown = regexp.MustCompile(`[^/]{25,}|[^/]*[;=][^/]*`)

// pointsTo is where an answer redirects, as far as a log may show that: scheme, host, and
// the path without what could be somebody's. It is empty if it does not.
func (c *Client) pointsTo(v *session.Variant, response *fasthttp.Response) string {
	location := response.Header.Peek(fasthttp.HeaderLocation)
	if status := response.StatusCode(); status < 300 || status > 399 || len(location) == 0 {
		return ""
	}
	target, err := c.base.Parse(c.basePath + v.Endpoint.Path(v.Locale, v.Token))
	if err == nil {
		target, err = target.Parse(string(location))
	}
	if err != nil {
		return "?"
	}
	known := strings.NewReplacer(v.Token, "{token}", v.Credential, "***", url.PathEscape(v.Credential), "***")
	return target.Scheme + "://" + target.Host + unshown.ReplaceAllString(known.Replace(target.EscapedPath()), "***")
}
