package session_test

import (
	"strings"
	"testing"

	"pollbridge/session"
)

func TestWithoutFile(t *testing.T) {
	document := strings.Repeat("JVBERi0x", 100_000)
	for _, test := range []struct {
		name, body, want string
		omitted          bool
	}{
		{"none", `{ "status" : "waiting" }`, `{ "status" : "waiting" }`, false},
		{"last", `{"status":"ok", "file":{"name":"a", "content":"` + document + `" }, "x":1.50}`, `{"status":"ok", "file":{"name":"a" }, "x":1.50}`, true},
		{"in the middle", `{"file":{"name":"a","content":"x" , "digest":"d"}}`, `{"file":{"name":"a" , "digest":"d"}}`, true},
		{"first", `{"file":{ "content":"x" , "digest":"d","y":2}}`, `{"file":{"digest":"d","y":2}}`, true},
		{"alone", `{"file":{"content":"x"}}`, `{"file":{}}`, true},
		{"twice", `{"file":{"content":"x","content":"y","a":1,"content":"z"}}`, `{"file":{"a":1}}`, true},
		{"two files", `{"file":{"content":"x","a":1},"file":{"b":1,"content":{"y":[1]}}}`, `{"file":{"a":1},"file":{"b":1}}`, true},
		{"escaped", `{"f\u0069le":{"c\u006fntent":"x"}}`, `{"f\u0069le":{}}`, true},
		{"elsewhere", `{"content":"x","files":{"content":"y"},"file":[{"content":"z"}],"a":{"file":{"content":"w"}}}`, `{"content":"x","files":{"content":"y"},"file":[{"content":"z"}],"a":{"file":{"content":"w"}}}`, false},
		{"a text", `{"file":"content"}`, `{"file":"content"}`, false},
		{"deeper", `{"file":{"a":{"content":"x"}}}`, `{"file":{"a":{"content":"x"}}}`, false},
		{"mark and white space", "\xef\xbb\xbf {\"a\":1}\r\n", `{"a":1}`, false},
		{"invalid UTF-8", "{\"a\":\"\xff\",\"file\":{\"content\":\"x\"}}", "{\"a\":\"\uFFFD\",\"file\":{}}", true},
		{"big numbers", `{"a":12345678901234567890.10}`, `{"a":12345678901234567890.10}`, false},
	} {
		given := strings.Clone(test.body)
		body := []byte(test.body)
		got, omitted, err := session.WithoutFile(body)
		if err != nil || string(got) != test.want || omitted != test.omitted {
			t.Errorf("%s: %.200s, %t, %v; want %s, %t", test.name, got, omitted, err, test.want, test.omitted)
		}
		if string(body) != given {
			t.Errorf("%s: the body was changed", test.name)
		}
		if omitted && cap(got) > len(document)/2 {
			t.Errorf("%s: what is left holds %d bytes of memory", test.name, cap(got))
		}
	}
	for _, body := range []string{``, `[]`, `"x"`, `{"file":{"content":"x"}`, `{"file":{"content":"x"}} x`, `<html>`, `{"file":{"content"}}`} {
		if got, _, err := session.WithoutFile([]byte(body)); err == nil {
			t.Errorf("%s became %s", body, got)
		}
	}
}
