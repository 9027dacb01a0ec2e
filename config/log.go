package config

import (
	"io"
	"log/slog"

	"pollbridge/internal/check"
)

// LogConfig says what is logged, and how.
type LogConfig struct {
	// Level is the least that is logged: debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}

// Validate returns all mistakes in c, joined; each names its key.
func (c LogConfig) Validate() error {
	var m check.Mistakes
	m.OneOf("level", c.Level, "debug", "info", "warn", "error")
	m.OneOf("format", c.Format, "text", "json")
	return m.Err()
}

// Handler writes logs to w as c says, one line with each call of Write. c must be
// valid.
func (c LogConfig) Handler(w io.Writer) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // which is valid
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}
