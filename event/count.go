package event

import (
	"context"
	"fmt"
)

// CountAfter returns how many events follow a position.
func (l *Log) CountAfter(ctx context.Context, position uint64) (int, error) {
	n, err := l.journal.Count(ctx, position)
	if err != nil {
		return 0, fmt.Errorf("event: counting events: %w", err)
	}
	return n, nil
}
