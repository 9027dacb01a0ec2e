package store

import "encoding/json"

// JSON is the form in which values of a program's own types are stored, which always have one.
func JSON(v any) []byte {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return value
}
