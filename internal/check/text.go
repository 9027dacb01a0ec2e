package check

import (
	"fmt"
	"strings"
	"time"
)

// Text writes a value the way an operator does: 15m rather than 15m0s.
func Text(value any) string {
	if d, ok := value.(time.Duration); ok {
		return duration(d)
	}
	return fmt.Sprint(value)
}

func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
