package session_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pollbridge/session"
)

// FuzzStart: the credential of a start call is the one that any other reader finds,
// and the same in whatever pieces the body comes.
func FuzzStart(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"secret","type":"pdf","pdf":{"files":[{"name":"a","content":"eA=="}]}}`, `{"a":[1,{"b":"]}\\\""}],"access\u005ftoken":"s\u00e9"}`,
		`{"access_token":"a","access_token":"b"}`, `{"access_token":"a","Access_Token":"b"}`, "{\"acce\u017fs_token\":\"a\"}", `{"access_token":"a"} x`,
		`{"a":1e5,"b":null , "access_token" : "a"}`, `{"access_token":{"access_token":"a"}}`, `{}`, `[`, ``, `{"access_token":"\ud800"}`, `{"a":"\`,
	} {
		f.Add([]byte(body), []byte(`{"status":"ok","token":"tok"}`), uint8(3))
	}
	for _, answer := range []string{`{"status":"ok","token":"a/b"}`, `{"token":"t","token":"t","status":"ok"}`, `{"status":"error","token":"t"}`, `{"status":"ok","token":5}`} {
		f.Add([]byte(`{"access_token":"a"}`), []byte(answer), uint8(1))
	}
	marksign := table(f, "marksign")
	start := startAt(f, marksign)
	f.Fuzz(func(t *testing.T, body, answer []byte, size uint8) {
		whole, inPieces := start.Credential(nil, nil), start.Credential(nil, nil)
		whole.Write(body)
		for rest := body; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			inPieces.Write(rest[:n])
			rest = rest[n:]
		}
		credential, ok := whole.Value()
		if again, ok2 := inPieces.Value(); again != credential || ok2 != ok {
			t.Fatalf("%q: Credential = %q, %t at once and %q, %t in pieces", body, credential, ok, again, ok2)
		}
		wantAsStrict(t, body, credential, ok)
		token, started := start.ReadToken(200, answer)
		if !started || !ok {
			return
		}
		v, err := start.Variant(token, credential)
		if err != nil {
			t.Fatalf("%q with a credential of %d bytes cannot be asked for: %v", token, len(credential), err)
		}
		asked := read(marksign, "POST", v.Target(), string(v.Body()), nil)
		if asked == nil || asked.Key() != v.Key() {
			t.Errorf("%s %s is no status request", v.Target(), v.Body())
		}
	})
}

// wantAsStrict compares with what a strict reader and a careless one find.
func wantAsStrict(t *testing.T, body []byte, credential string, ok bool) {
	v := read(table(t, "marksign"), "POST", status+"tok.json", string(body), nil)
	if v != nil && len(v.Credential) <= 500 && (!ok || credential != v.Credential) {
		t.Errorf("%q: Credential = %q, %t; the reader of status requests finds %q", body, credential, ok, v.Credential)
	}
	var careless struct {
		Credential string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &careless); ok && err == nil && careless.Credential != credential {
		t.Errorf("%q: Credential = %q; encoding/json finds %q", body, credential, careless.Credential)
	}
}

// FuzzReadDurable: what is read is a question that can be asked, and comes back.
func FuzzReadDurable(f *testing.F) {
	for _, list := range variants(f) {
		for _, v := range list {
			f.Add(v.AppendDurable(nil))
		}
	}
	f.Add([]byte("\x01\x0csmartid-sign\x02lt\x03tok\x01s\x00\x02{}"))
	f.Add([]byte("\x02"))
	tables := []*session.Table{table(f, "marksign"), table(f, "dokobit"), bearerTable(f)}
	f.Fuzz(func(t *testing.T, durable []byte) {
		for _, table := range tables {
			v, err := table.ReadDurable(durable)
			if err != nil {
				continue
			}
			again, err := table.ReadDurable(v.AppendDurable(nil))
			if err != nil || again.Key() != v.Key() || again.Locale != v.Locale {
				t.Fatalf("%q was read once as %q, then as %v, %v", durable, v.Key(), again, err)
			}
			var h header
			if name, value := v.Header(); name != "" {
				h = header{name: {value}}
			}
			asked := read(table, v.Endpoint.Method, v.Target(), string(v.Body()), h)
			if asked == nil || asked.Key() != v.Key() {
				t.Errorf("%s %s, read from %q, is no status request of that variant", v.Target(), v.Body(), durable)
			}
		}
	})
}

// FuzzWithoutFile: what is left is the same object without the document.
func FuzzWithoutFile(f *testing.F) {
	for _, body := range []string{
		`{"status":"ok","file":{"name":"a","content":"eA==","digest":"d"},"x":[1]}`, `{"file":{"content":"x"}}`, `{"file":{"content":"x","content":1,"a":2}}`,
		`{"file":{ "a":1 , "content":{"b":[]} } }`, "{\"a\":\"\xff\"}", `{"file":[]}`, `{"file":{"content":"x"},"file":{"a":1,"content":2}}`, `[]`, `{`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rest, omitted, err := session.WithoutFile(bytes.Clone(body))
		if err != nil {
			return
		}
		if bytes.ContainsRune(body, 0xFFFD) || !jsontext.Value(rest).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			if !bytes.ContainsRune(body, 0xFFFD) {
				t.Fatalf("%q became %q, which is no JSON", body, rest)
			}
			return
		}
		if again, more, err := session.WithoutFile(rest); err != nil || more || !bytes.Equal(again, rest) {
			t.Errorf("%q became %q, and then %q, %t, %v", body, rest, again, more, err)
		}
		var before, after map[string]any
		decode := func(body []byte, into *map[string]any) bool {
			return jsontext.Value(body).IsValid() && json.Unmarshal(body, into) == nil
		}
		plain := bytes.Trim(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
		if !decode(plain, &before) || !decode(rest, &after) {
			return
		}
		if file, ok := before["file"].(map[string]any); ok {
			if _, had := file["content"]; had != omitted {
				t.Errorf("%q: omitted = %t", body, omitted)
			}
			delete(file, "content")
		} else if omitted {
			t.Errorf("%q: there was no document", body)
		}
		want, _ := json.Marshal(before)
		got, _ := json.Marshal(after)
		if string(got) != string(want) {
			t.Errorf("%q became %q", body, rest)
		}
		if strings.Contains(string(rest), "\xff") {
			t.Errorf("%q became %q, which is not UTF-8", body, rest)
		}
	})
}
