package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// moment is a time on the command line: how long ago it is, or itself.
type moment struct{ at time.Time }

// Time is the moment.
func (m moment) Time() time.Time { return m.at }

// UnmarshalText reads a duration with units, days among them, or a time as in RFC 3339.
func (m *moment) UnmarshalText(text []byte) error {
	if at, err := time.Parse(time.RFC3339, string(text)); err == nil {
		m.at = at
		return nil
	}
	ago, err := time.ParseDuration(string(text))
	if days, found := strings.CutSuffix(string(text), "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return errors.New("want how long ago it is, such as 24h or 7d, or a time such as 2026-11-23T08:15:30Z")
	}
	m.at = time.Now().Add(-ago)
	return nil
}
