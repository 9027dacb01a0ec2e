package main

import (
	"strings"
	"testing"
	"time"
)

const wrkOutput = `Running 2s test @ http://127.0.0.1:4000/
  2 threads and 64 connections
Requests/sec:  99278.10
bench-summary requests=198556 microseconds=2000123 connect=1 read=2 write=3 status=4 timeout=5 p50=512 p99=6100
`

func TestParseLoadResult(t *testing.T) {
	got, err := parseLoadResult(wrkOutput)
	want := loadResult{
		requests: 198556, took: 2000123 * time.Microsecond, failed: 15,
		p50: 512 * time.Microsecond, p99: 6100 * time.Microsecond,
	}
	if err != nil || got != want {
		t.Errorf("parseLoadResult = %+v, %v; want %+v", got, err, want)
	}
}

func TestParseLoadResultRefuses(t *testing.T) {
	for name, output := range map[string]string{
		"no summary":    "unable to connect to 127.0.0.1:4000 Connection refused\n",
		"no requests":   strings.Replace(wrkOutput, "requests=198556", "requests=0", 1),
		"not a number":  strings.Replace(wrkOutput, "status=4", "status=many", 1),
		"unknown field": strings.Replace(wrkOutput, "status=4", "weather=4", 1),
	} {
		if got, err := parseLoadResult(output); err == nil {
			t.Errorf("%s: parseLoadResult = %+v, want an error", name, got)
		}
	}
}

func TestSampleFigures(t *testing.T) {
	s := sample{cpu: 3 * time.Second, load: loadResult{requests: 150_000, took: 2 * time.Second, p99: 6100 * time.Microsecond, cpu: time.Second}}
	if got := s.cpuPer100k(); got != 2 {
		t.Errorf("cpuPer100k = %v, want 2", got)
	}
	if got := s.allCPUPer100k(); got != 4.0/1.5 {
		t.Errorf("allCPUPer100k = %v, want 2.67", got)
	}
	if got := s.perCPUSecond(); got != 37_500 {
		t.Errorf("perCPUSecond = %v, want 37500", got)
	}
	if got := s.perSecond(); got != 75_000 {
		t.Errorf("perSecond = %v, want 75000", got)
	}
	if got := s.p99Milliseconds(); got != 6.1 {
		t.Errorf("p99Milliseconds = %v, want 6.1", got)
	}
}
