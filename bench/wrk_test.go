package main

import (
	"strings"
	"testing"
	"time"
)

const wrkOutput = `Running 2s test @ http://127.0.0.1:4000/
  2 threads and 64 connections
Requests/sec:  99278.10
bench-summary requests=198556 failed=15 microseconds=2000123 p99=6100
`

func TestParseLoadResult(t *testing.T) {
	got, err := parseLoadResult(wrkOutput)
	want := loadResult{requests: 198556, failed: 15, took: 2000123 * time.Microsecond, p99: 6100 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("parseLoadResult = %+v, %v; want %+v", got, err, want)
	}
}

func TestParseLoadResultRefuses(t *testing.T) {
	for name, output := range map[string]string{
		"no summary":    "unable to connect to 127.0.0.1:4000 Connection refused\n",
		"no requests":   strings.Replace(wrkOutput, "requests=198556", "requests=0", 1),
		"not a number":  strings.Replace(wrkOutput, "failed=15", "failed=many", 1),
		"unknown field": strings.Replace(wrkOutput, "failed=15", "weather=15", 1),
	} {
		if got, err := parseLoadResult(output); err == nil {
			t.Errorf("%s: parseLoadResult = %+v, want an error", name, got)
		}
	}
}
