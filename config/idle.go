package config

import (
	"slices"
	"strings"

	"pollbridge/watch"
)

// Idle returns the keys that the user set and that do nothing yet in this
// version, so that nobody relies on them unknowingly.
func (c *Config) Idle() []string {
	var keys []string
	for _, s := range settings {
		if c.sources.of(s.key) != "" && c.idle(s.key) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func (c *Config) idle(key string) bool {
	switch key {
	case "watch.schedule":
		return c.Watch.Schedule == watch.Adaptive
	case "watch.deadline", "watch.not_found_after", "watch.max":
		return true
	}
	section, _, _ := strings.Cut(key, ".")
	return slices.Contains([]string{"webhook", "store", "tracing"}, section)
}
