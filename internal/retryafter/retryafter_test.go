package retryafter_test

import (
	"net/http"
	"testing"
	"time"

	"pollbridge/internal/retryafter"
)

func TestRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                         0,
		"0":                        0,
		" 7 ":                      7 * time.Second,
		"31536000":                 retryafter.Most,
		"18446744073709551616":     retryafter.Most,
		"999999999999999999999999": retryafter.Most,
		"-1":                       0,
		"1.5":                      0,
		"soon":                     0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(80 * time.Hour).Format(http.TimeFormat):   retryafter.Most,
	} {
		if got := retryafter.Read(value, now); got != want {
			t.Errorf("Read(%q) = %v, want %v", value, got, want)
		}
	}
}
