{{define "summary" -}}
function done(summary, latency, requests)
  io.write(string.format("bench-summary requests=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, summary.errors.connect, summary.errors.read,
    summary.errors.write, summary.errors.status, summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
{{- end}}
