package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"pollbridge/tracing/otlp"
)

// flushTime is how long the end of the program may wait for the collector.
const flushTime = time.Second

// openTracing begins to send spans, where that is configured. It is closed last, after everything
// that makes spans.
func (b *bridge) openTracing(context.Context) error {
	if b.cfg.Tracing.Endpoint == "" {
		return nil
	}
	sent, err := otlp.Open(b.cfg.Tracing, otlp.Options{Version: programVersion(), Instance: b.id, Log: b.log, Registry: b.registry})
	if err != nil {
		return err
	}
	b.tracer = sent.Tracer()
	b.closers = append(b.closers, func() { sent.Close(min(flushTime, max(flushTime/10, b.leftOfDrain()))) })
	return nil
}

// leftOfDrain is how much of the time for draining is left, with a moment to end in.
func (b *bridge) leftOfDrain() time.Duration {
	const moment = 200 * time.Millisecond
	if b.stopping.IsZero() {
		return flushTime
	}
	return time.Until(b.stopping.Add(drainTime - moment))
}

// tellTracing logs where spans go, or that variables which would say so elsewhere do not here.
func tellTracing(cfg otlp.Config, log *slog.Logger) {
	if u, err := url.Parse(cfg.Endpoint); err == nil && cfg.Endpoint != "" {
		log.Info("spans are sent", "to", u.Host, "scheme", u.Scheme)
		return
	}
	var set []string
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if set != nil {
		log.Warn("tracing is off: the collector of the environment is not used; set tracing.otlp_endpoint", "variables", strings.Join(set, ","))
	}
}
