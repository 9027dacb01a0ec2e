package admin

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
)

// optional is a field of a change: it tells a name that was left out from one that is
// null, which sets the zero value.
type optional[T any] struct {
	set   bool
	value T
}

// UnmarshalJSON reads a value, or null. It is called only for names that are there.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.set = true
	return jsonv2.Unmarshal(text, &o.value, jsonv2.RejectUnknownMembers(true))
}

// Schema is that of the value, or null.
func (o optional[T]) Schema(r huma.Registry) *huma.Schema {
	schema := r.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return schema
}

// pointer returns nil for a name that was left out.
func (o optional[T]) pointer() *T {
	if !o.set {
		return nil
	}
	return &o.value
}
