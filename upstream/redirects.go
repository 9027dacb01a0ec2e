package upstream

import (
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"pollbridge/session"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

// redirects tells operators that the upstream sends status requests elsewhere, which no
// poll follows: at the first of an endpoint and at each change, not at each poll.
type redirects struct {
	log *slog.Logger

	mu        sync.Mutex
	endpoints map[string]*redirected // guarded by mu
}

// redirected is the latest answer of one endpoint.
type redirected struct {
	location string // empty if it was no redirect
	lines    *rate.Limiter
}

// Where some sessions are redirected and others are not, each answer is a change.
const redirectLines = 5 // and a further one a minute

// answered tells of an answer to v, and where it points; that is empty if nowhere.
func (r *redirects) answered(v *session.Variant, status int, location string) {
	if r.changed(v.Endpoint.Name, location) {
		r.log.Warn("upstream redirects status requests", "endpoint", v.Endpoint.Name, "status", status, "location", location)
	}
}

func (r *redirects) changed(endpoint, location string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.endpoints[endpoint]
	if e == nil {
		if location == "" {
			return false
		}
		if r.endpoints == nil {
			r.endpoints = map[string]*redirected{}
		}
		e = &redirected{lines: rate.NewLimiter(rate.Every(time.Minute), redirectLines)}
		r.endpoints[endpoint] = e
	}
	changed := location != "" && location != e.location
	e.location = location
	return changed && e.lines.Allow()
}

// longestShown is the length in bytes of a segment of a path that is hardly a secret.
const longestShown = 24

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
	segments := strings.Split(target.EscapedPath(), "/")
	for i, segment := range segments {
		segment = strings.ReplaceAll(segment, v.Token, "{token}")
		for _, credential := range []string{v.Credential, url.PathEscape(v.Credential)} {
			segment = strings.ReplaceAll(segment, credential, "***")
		}
		if len(segment) > longestShown || strings.ContainsAny(segment, ";=") {
			segment = "***"
		}
		segments[i] = segment
	}
	return target.Scheme + "://" + target.Host + strings.Join(segments, "/")
}
