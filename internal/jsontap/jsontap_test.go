package jsontap_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pollbridge/internal/jsontap"
)

// tapped writes text in pieces of a size, and returns the values of a, b and key.
func tapped(t testing.TB, text string, size int) (values map[string]string, whole bool) {
	t.Helper()
	tap := jsontap.New(64, "a", "b", "key")
	for rest := text; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		piece := []byte(rest[:min(size, len(rest))])
		if n, err := tap.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		clear(piece) // it must not be kept
	}
	values = map[string]string{}
	for _, name := range []string{"a", "b", "key"} {
		if v, ok := tap.Value(name); ok {
			values[name] = v
		}
	}
	return values, tap.Whole()
}

func TestValues(t *testing.T) {
	document := strings.Repeat(`JVBERi0\n`, 3000)
	for text, want := range map[string]string{
		`{"a":"1","b":"2","key":"3"}`: `{"a":"1","b":"2","key":"3"}`,
		`{"doc":"` + document + `","b":"2","x":[{"a":"]}"},1.5e3,null],"key":"3"}`: `{"b":"2","key":"3"}`,
		` { "\u0061" : "\u0105\"" , "b":"" } `:                                     `{"a":"ą\""}`,
		// What is unclear about one says nothing about another.
		`{"a":"1","a":"2","b":"3"}`:                            `{"b":"3"}`,
		`{"a":"1","A":"2","b":["3"],"key":"4"}`:                `{"key":"4"}`,
		`{"a":5,"b":null,"key":{"key":"x"}}`:                   `{}`,
		`{"a":"` + strings.Repeat("x", 64) + `","b":"2"}`:      `{"b":"2"}`,
		"{\"a\":\"\xff\",\"b\":\"2\",\"\u212aey\":\"1\"}":      `{"b":"2"}`,
		`{"` + strings.Repeat("key", 1000) + `":"1","b":"\\"}`: `{"b":"\\"}`,
		`{}`: `{}`,
		// What is nested may be as large as it likes, and what is not may not.
		`{"x":[` + strings.Repeat(`{"y":["z"]},`, 10_000) + `1],"a":"1"}`: `{"a":"1"}`,
		`{"a":"1"` + strings.Repeat(`,"x":"y"`, 10_000) + `}`:             ``,
		// No object at all, or more than one.
		``: ``, `{"a":"1"`: ``, `{"a":"1"}{}`: ``, `["a","1"]`: ``, `a=1`: ``, `{"a":"1",}`: ``, `{"a":}`: ``, `{"a" "1"}`: ``, `{"a":"1"]`: ``, `{"\x":"1"}`: ``,
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			values, whole := tapped(t, text, size)
			got, _ := json.Marshal(values)
			if whole != (want != "") || whole && string(got) != want || !whole && len(values) > 0 {
				t.Errorf("%.80q, %d bytes at a time: %s, whole %t; want %s", text, size, got, whole, want)
			}
		}
	}
}

func TestDocumentsAreNotHeld(t *testing.T) {
	tap := jsontap.New(64, "a")
	tap.Write([]byte(`{"doc":"`))
	piece := []byte(strings.Repeat(`a\n`, 10_000))
	if n := testing.AllocsPerRun(100, func() { tap.Write(piece) }); n > 0 {
		t.Errorf("a piece of a document allocates %v times", n)
	}
}

// FuzzValues: where encoding/json reads an object with exactly one string of that name
// in any letter case, so does the tap; and in whatever pieces the text comes.
func FuzzValues(f *testing.F) {
	for _, text := range []string{`{"a":"1","b":[{"key":"]}"}],"key":"\u0105"}`, `{"a":1,"A":"2"}`, "{\"\u212aey\":\"1\"}", `{"a":"\"`, ` {} x`} {
		f.Add(text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		values, whole := tapped(t, text, 1<<20)
		again, wholeAgain := tapped(t, text, int(size)+1)
		if whole != wholeAgain || len(again) != len(values) {
			t.Fatalf("%q: %v, %t at once and %v, %t in pieces", text, values, whole, again, wholeAgain)
		}
		var read map[string]any
		if json.Unmarshal([]byte(text), &read) != nil || read == nil {
			return // the tap does not check what it steps over
		}
		if !whole && !strings.Contains(text, "\\u") && strings.ToValidUTF8(text, "") == text {
			t.Errorf("%q is no object to the tap", text)
		}
		for name, value := range values {
			if again[name] != value || read[name] != value {
				t.Errorf("%q: %s = %q, and %q in pieces; encoding/json reads %v", text, name, value, again[name], read[name])
			}
		}
	})
}
