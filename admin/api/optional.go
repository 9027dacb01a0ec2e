package api

import "encoding/json"

// Optional is a field of a change. The zero value leaves the field as it is.
type Optional[T any] struct {
	value *T
	null  bool
}

// Set gives the field a value.
func Set[T any](value T) Optional[T] { return Optional[T]{value: &value} }

// Null makes the field what leaving it out at creation makes it.
func Null[T any]() Optional[T] { return Optional[T]{value: new(T), null: true} }

// Value is what the field becomes: the zero value where it was null. It is nil where the
// field stays as it is. The caller must not change what it points to.
func (o Optional[T]) Value() *T { return o.value }

// IsZero reports whether the field stays as it is.
func (o Optional[T]) IsZero() bool { return o.value == nil }

// MarshalJSON writes the value, or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if o.null {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

// UnmarshalJSON reads a value, or null. It is called only for names that are there.
func (o *Optional[T]) UnmarshalJSON(text []byte) error {
	o.value, o.null = new(T), string(text) == "null"
	return json.Unmarshal(text, o.value)
}
