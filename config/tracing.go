package config

import "pollbridge/internal/check"

// TracingConfig says where traces go. The zero value means nowhere.
type TracingConfig struct {
	// OTLPEndpoint is the http or https URL of an OpenTelemetry collector. Empty:
	// nothing is traced.
	OTLPEndpoint string `yaml:"otlp_endpoint"`
}

// Validate returns all mistakes in c, joined; each names its key.
func (c TracingConfig) Validate() error {
	var m check.Mistakes
	if c.OTLPEndpoint != "" {
		m.URL("otlp_endpoint", c.OTLPEndpoint, "http", "https")
	}
	return m.Err()
}
