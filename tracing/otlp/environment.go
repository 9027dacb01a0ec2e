package otlp

import (
	"crypto/tls"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"pollbridge/internal/check"
)

// The variables of OpenTelemetry that count here besides what the exporters read, each of which
// has a form for spans alone too.
const (
	sampler     = "OTEL_TRACES_SAMPLER"
	samplerArg  = "OTEL_TRACES_SAMPLER_ARG"
	queueSize   = "OTEL_BSP_MAX_QUEUE_SIZE"
	linkLimit   = "OTEL_SPAN_LINK_COUNT_LIMIT"
	allForm     = "OTEL_EXPORTER_OTLP_"
	spanForm    = "OTEL_EXPORTER_OTLP_TRACES_"
	describing  = "OTEL_RESOURCE_ATTRIBUTES"
	wantsNumber = "want a whole number, 1 or more"
)

// samplers are those that the SDK knows.
var samplers = []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}

// checkEnvironment finds the mistakes in variables that the SDK would pass over in silence. It
// shows no value.
func checkEnvironment(m *check.Mistakes, value func(name string) string) {
	want := func(name string, ok func(string) bool, problem string) {
		if v := value(name); v != "" && !ok(v) {
			m.Within("", check.Mistake{Source: "environment " + name, Problem: problem})
		}
	}
	isRatio := func(v string) bool { r, err := strconv.ParseFloat(v, 64); return err == nil && r >= 0 && r <= 1 }
	want(sampler, func(v string) bool { return slices.Contains(samplers, v) }, "want one of "+strings.Join(samplers, ", "))
	if strings.HasSuffix(value(sampler), "traceidratio") {
		want(samplerArg, isRatio, "want a part of all traces, from 0 to 1, such as 0.1")
	}
	want(describing, isPairs, "want NAME=VALUE,NAME=VALUE (the value is not shown)")
	for _, name := range []string{queueSize, linkLimit, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"} {
		want(name, isNumber, wantsNumber)
	}
	for _, form := range []string{allForm, spanForm} {
		want(form+"TIMEOUT", isNumber, wantsNumber+" of milliseconds")
		want(form+"COMPRESSION", func(v string) bool { return v == "gzip" || v == "none" }, "want gzip or none")
		want(form+"HEADERS", isHeaders, "want NAME=VALUE,NAME=VALUE, values percent-encoded (the value is not shown)")
		want(form+"CERTIFICATE", func(v string) bool { _, err := check.Authorities(v, nil); return err == nil }, "want a PEM file with at least one certificate (the value is not shown)")
		certificate, key := value(form+"CLIENT_CERTIFICATE"), value(form+"CLIENT_KEY")
		want(form+"CLIENT_CERTIFICATE", func(string) bool { _, err := tls.LoadX509KeyPair(certificate, key); return err == nil },
			"want a PEM file with a certificate, whose key "+form+"CLIENT_KEY names (the value is not shown)")
		want(form+"CLIENT_KEY", func(string) bool { return certificate != "" }, "is set, but "+form+"CLIENT_CERTIFICATE is not")
	}
}

func isNumber(v string) bool { n, err := strconv.Atoi(v); return err == nil && n >= 1 }

// isPairs reports whether text is a list as in the variables of OpenTelemetry.
func isPairs(text string) bool {
	return eachPair(text, func(name, _ string) bool { return name != "" })
}

func isHeaders(text string) bool {
	return eachPair(text, func(name, value string) bool {
		return httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
	})
}

func eachPair(text string, ok func(name, value string) bool) bool {
	for pair := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if strings.TrimSpace(pair) == "" {
			continue
		}
		if !found || err != nil || !ok(strings.TrimSpace(name), value) {
			return false
		}
	}
	return true
}

// number is the value of a variable that was checked, or otherwise.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
