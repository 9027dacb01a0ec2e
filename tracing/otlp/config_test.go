package otlp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/tracing/otlp"
)

func TestConfigValidate(t *testing.T) {
	const scheme = "otlp_endpoint: "
	for endpoint, want := range map[string]string{
		"":                                    "",
		"http://collector.example:4318":       "",
		"https://collector.example/otlp":      "",
		"https://collector.example/v1/traces": "",
		"grpc://collector.example:4317":       "",
		"grpcs://collector.example:443/":      "",
		"collector.example:4317":              scheme,
		"ftp://collector.example":             "one of the schemes http, https, grpc, grpcs",
		"http://":                             "a URL with a host",
		"http://user:sesame@collector:4318":   "without user info",
		"grpc://sesame@collector:4317":        "without user info",
		"http://collector:4318?api=sesame":    "without query",
		"http://collector:4318#sesame":        "without fragment",
		"grpc://collector.example":            "grpc://HOST:PORT",
		"grpcs://collector.example:443/path":  "grpcs://HOST:PORT",
	} {
		err := otlp.Config{Endpoint: endpoint}.Validate()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v; want no error", endpoint, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), scheme)):
			t.Errorf("%s: %v; want %q", endpoint, err, want)
		case err != nil && strings.Contains(err.Error(), "sesame"):
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

// TestEnvironment: what the SDK would pass over in silence is a mistake, without its value.
func TestEnvironment(t *testing.T) {
	c := testkit.NewCertificate(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	testkit.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, test := range []struct {
		set   string // NAME=VALUE, several with a space between
		wrong bool
	}{
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.1", false},
		{"OTEL_TRACES_SAMPLER=always_on OTEL_TRACES_SAMPLER_ARG=of-no-use", false},
		{"OTEL_TRACES_SAMPLER=sesame", true},
		{"OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=1.1", true},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=sesame", true},
		{"OTEL_EXPORTER_OTLP_HEADERS=api-key=sesame,b=c%20d", false},
		{"OTEL_EXPORTER_OTLP_HEADERS=api-key:sesame", true},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=%zzsesame", true},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=sesame%0a", true},
		{"OTEL_EXPORTER_OTLP_TIMEOUT=5000 OTEL_EXPORTER_OTLP_COMPRESSION=gzip", false},
		{"OTEL_EXPORTER_OTLP_TIMEOUT=5s", true},
		{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=zstd", true},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE=" + c.CertFile, false},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE=" + empty, true},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE=/does/not/exist", true},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + c.CertFile + " OTEL_EXPORTER_OTLP_CLIENT_KEY=" + c.KeyFile, false},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + c.CertFile, true},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY=" + c.KeyFile, true},
		{"OTEL_BSP_MAX_QUEUE_SIZE=100", false},
		{"OTEL_BSP_MAX_QUEUE_SIZE=0", true},
		{"OTEL_SPAN_LINK_COUNT_LIMIT=many", true},
		{"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test,", false},
		{"OTEL_RESOURCE_ATTRIBUTES=sesame", true},
	} {
		t.Run(test.set, func(t *testing.T) {
			var last string
			for pair := range strings.FieldsSeq(test.set) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
				last = name
			}
			if err := (otlp.Config{}).Validate(); err != nil {
				t.Errorf("without an endpoint: %v", err)
			}
			err := otlp.Config{Endpoint: "http://collector:4318"}.Validate()
			if (err != nil) != test.wrong {
				t.Errorf("%v; want a mistake: %v", err, test.wrong)
			}
			if err != nil && (strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "environment "+last)) {
				t.Errorf("%v; want the name of %s, and no value", err, last)
			}
		})
	}
}
