package testkit

import (
	"bytes"
	"log/slog"
	"sync"
)

// LogBuffer is a log that can be read while it is written. The zero value is empty and
// ready for use.
type LogBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Logger returns a logger that writes to b, as text, from a level upwards.
func (b *LogBuffer) Logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level}))
}

// Write never fails.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
