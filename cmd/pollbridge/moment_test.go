package main

import (
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	for text, ago := range map[string]time.Duration{"0s": 0, "90m": 90 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err != nil || (time.Since(m.Time())-ago).Abs() > time.Minute {
			t.Errorf("%s is %v, %v; want %v ago", text, m.Time(), err, ago)
		}
	}
	var m moment
	if err := m.UnmarshalText([]byte("2026-11-23T08:15:30+02:00")); err != nil || !m.Time().Equal(time.Date(2026, 11, 23, 6, 15, 30, 0, time.UTC)) {
		t.Errorf("a time is %v, %v", m.Time(), err)
	}
	for _, text := range []string{"", "d", "-1h", "-1d", "1.5d", "yesterday", "2026-11-23", "24"} {
		if err := new(moment).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
