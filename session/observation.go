package session

import (
	"time"

	"pollbridge/tracing"
)

// Observation is one answer of the upstream about one variant of a session. It is
// immutable and shared by everybody who asks: nobody may change what it points to.
type Observation struct {
	At     time.Time // when the answer was complete
	Answer           // what it says
	Locale int32     // in which locale it was asked for
	Shared bool      // others have the same Content, so it takes no memory of its own
	// Elsewhere means that another replica has made it, so it is not kept here.
	Elsewhere bool
	// Poll is the span of the poll that has made it; nil: none is known.
	Poll *tracing.SpanContext
	*Content
}

// Content is the part of an answer that many answers have in common.
type Content struct {
	Status int // of HTTP
	Header []Field
	Body   []byte // as the upstream sent it
}

// Size is about how many bytes of memory the content takes.
func (c *Content) Size() int {
	const each = 64 // bytes that a field takes besides its text
	size := cap(c.Body)
	for _, field := range c.Header {
		size += len(field.Name) + len(field.Value) + each
	}
	return size
}

// Field is one line of a header.
type Field struct{ Name, Value []byte }

// Serves reports whether the observation answers for a locale: its own, or any if
// it holds no text for people.
func (o *Observation) Serves(locale int) bool {
	return !o.Localized || int(o.Locale) == locale
}

// Age is how old the observation is, never negative.
func (o *Observation) Age(now time.Time) time.Duration {
	return max(0, now.Sub(o.At))
}
