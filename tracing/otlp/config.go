package otlp

import (
	"net/url"
	"os"
	"strings"

	"pollbridge/internal/check"
)

// Config says where spans go.
type Config struct {
	// Endpoint is the URL of what takes OTLP: http or https for OTLP over HTTP, where /v1/traces
	// is appended to the path unless it ends so, and grpc or grpcs, with a port and without a
	// path, for OTLP over gRPC without and with TLS. Empty: there are no spans.
	Endpoint string `yaml:"otlp_endpoint" secret:"maybe"`
}

// tracesPath is where OTLP over HTTP takes spans.
const tracesPath = "/v1/traces"

// Validate returns all mistakes in c, joined; each names its key. Where there is an endpoint it
// reads the environment, and the files that this names.
func (c Config) Validate() error {
	if c.Endpoint == "" {
		return nil
	}
	var m check.Mistakes
	m.URL("otlp_endpoint", c.Endpoint, "http", "https", "grpc", "grpcs")
	if u, err := url.Parse(c.Endpoint); err == nil && overGRPC(u) {
		if u.Port() == "" || strings.Trim(u.Path, "/") != "" {
			m.Add("otlp_endpoint", "want "+u.Scheme+"://HOST:PORT, such as "+u.Scheme+"://collector.example:4317 (the value is not shown)")
		}
	}
	checkEnvironment(&m, os.Getenv)
	return m.Err()
}

func overGRPC(u *url.URL) bool { return u.Scheme == "grpc" || u.Scheme == "grpcs" }

// target is the endpoint as exporters want it: with the scheme http or https, which says
// whether there is TLS, and with the whole path.
func (c Config) target() (to *url.URL, grpc bool, err error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, false, err
	}
	to = &url.URL{Scheme: u.Scheme, Host: u.Host}
	switch {
	case u.Scheme == "grpc":
		to.Scheme = "http"
	case u.Scheme == "grpcs":
		to.Scheme = "https"
	case strings.HasSuffix(u.Path, tracesPath):
		to.Path = u.Path
	default:
		to.Path = strings.TrimSuffix(u.Path, "/") + tracesPath
	}
	return to, overGRPC(u), nil
}
