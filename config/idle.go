package config

import "strings"

// Idle returns the keys that the user set and that do nothing yet in this
// version, so that nobody relies on them unknowingly.
func (c *Config) Idle() []string {
	var keys []string
	for _, s := range settings {
		if c.sources.of(s.key) != "" && idle(s.key) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func idle(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return section == "tracing"
}
